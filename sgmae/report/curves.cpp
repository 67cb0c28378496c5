#include "sgmae/report/curves.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "sgmae/report/blocks.h"
#include "sgmae/report/markup.h"

namespace sgmae {
namespace {

using Runs = std::vector<RunRecord>;

struct Quantity {
  std::string key, name;  // of log.txt; what a reader calls it
};

struct Curves {
  std::string title, unit;
  std::vector<Quantity> quantities;
  bool from_zero = false;
  double scale = 1;
  std::string note = "";
  bool now_and_then = false;  // not measured after every epoch: lines go on over those without
};

const std::vector<Curves>& training_curves() {
  static const std::vector<Curves> all{
      {"Loss", "loss", {{"train_loss", "training"}, {"test_loss", "test"}}},
      {"Parts of the loss",
       "loss",
       {{"train_loss_objectness", "objectness"},
        {"train_loss_proposal_box", "proposals' boxes"},
        {"train_loss_classification", "classes"},
        {"train_loss_box", "boxes"},
        {"train_loss_mask", "masks"}},
       true},
      {"Learning rate", "learning rate", {{"train_lr", "learning rate"}}, true},
      {"Throughput", "images / s", {{"img_per_s", "images / s"}}, true},
      {"Waiting for data", "% of the time", {{"data_wait_frac", "waiting"}}, true, 100},
      {"Gradient norm", "norm", {{"grad_norm", "gradient norm"}}, true},
      {"Arithmetic", "TFLOP / s", {{"tflop_per_s", "TFLOP / s"}}, true}};
  return all;
}

const std::vector<Curves>& result_curves() {
  static const std::vector<Curves> all{
      {"k-NN accuracy",
       "%",
       {{"knn_acc1", "top-1"},
        {"knn_class_mean", "mean over classes"},
        {"knn_acc1_pixels", "top-1 of raw pixels"}},
       false,
       100},
      {"Test accuracy", "%", {{"test_acc1", "top-1"}, {"test_acc5", "top-5"}}},
      {"Mean IoU", "%", {{"test_miou", "over classes"}, {"test_fw_iou", "by their pixels"}}, true},
      {"Accuracy of pixels",
       "%",
       {{"test_accuracy", "of pixels"},
        {"test_mean_accuracy", "mean over classes"},
        {"train_accuracy", "of training crops"}},
       true},
      {"Box AP",
       "%",
       {{"test_box_ap", "AP"}, {"test_box_ap50", "AP50"}, {"test_box_ap75", "AP75"}},
       true},
      {"Mask AP",
       "%",
       {{"test_mask_ap", "AP"}, {"test_mask_ap50", "AP50"}, {"test_mask_ap75", "AP75"}},
       true},
      {"Box AP by size of the object",
       "%",
       {{"test_box_ap_small", "small"},
        {"test_box_ap_medium", "medium"},
        {"test_box_ap_large", "large"}},
       true,
       1,
       "COCO's sizes: an area below 32x32 pixels, to 96x96, above."}};
  return all;
}

const std::vector<Curves>& exploitation_curves() {
  static const std::vector<Curves> all{
      {"Exploitation rate, last layer",
       "share of the output",
       {{"mask_R_M", "mask tokens"}, {"mask_R_V", "visible tokens"}},
       true,
       1,
       "How much of what the decoder uses comes from each kind of token (Eqs. 5–7)."},
      {"Exploitation rate, Eq. 6 as printed",
       "R (not a share)",
       {{"mask_R_M_literal", "mask tokens"}, {"mask_R_V_literal", "visible tokens"}},
       true,
       1,
       "The recursion taken literally; its terms do not sum to 1."}};
  return all;
}

void leave_out_gaps(Series& series) {
  std::size_t kept = 0;
  for (std::size_t i = 0; i < series.y.size(); ++i) {
    if (std::isnan(series.y[i])) continue;
    series.x[kept] = series.x[i];
    series.y[kept++] = series.y[i];
  }
  series.x.resize(kept);
  series.y.resize(kept);
}

// The lines of one chart for some quantities of all runs.
Chart epoch_chart(const Runs& runs, const Curves& curves, const std::vector<Quantity>& quantities) {
  Chart chart{.title = curves.title,
              .x_label = "epochs finished",
              .y_label = curves.unit,
              .note = curves.note};
  chart.from_zero = curves.from_zero;
  chart.names_lone_line = runs.size() > 1;
  for (std::size_t r = 0; r < runs.size(); ++r)
    for (std::size_t q = 0; q < quantities.size(); ++q) {
      const RunLog& log = runs[r].log;
      if (!log.has(quantities[q].key)) continue;
      Series series{.name = runs.size() == 1 ? quantities[q].name : runs[r].name,
                    .x = log.epoch,
                    .y = log.column.at(quantities[q].key),
                    .colour = static_cast<int>(runs.size() == 1 ? q : r)};
      for (double& value : series.y) value *= curves.scale;
      if (curves.now_and_then) leave_out_gaps(series);
      chart.series.push_back(std::move(series));
    }
  return chart;
}

std::vector<Chart> epoch_charts(const Runs& runs, const std::vector<Curves>& all) {
  std::vector<Chart> charts;
  for (const Curves& curves : all) {
    std::vector<Quantity> present;
    for (const Quantity& quantity : curves.quantities)
      if (std::any_of(runs.begin(), runs.end(),
                      [&](const RunRecord& run) { return run.log.has(quantity.key); }))
        present.push_back(quantity);
    if (runs.size() == 1) {
      charts.push_back(epoch_chart(runs, curves, present));
      continue;
    }
    for (const Quantity& quantity : present) {
      charts.push_back(epoch_chart(runs, curves, {quantity}));
      if (present.size() > 1) charts.back().title += ": " + quantity.name;
    }
  }
  return charts;
}

void mark_guidance(const Runs& runs, Chart& chart) {
  for (std::size_t r = 0; r < runs.size(); ++r) {
    const double start = runs[r].log.last("guide_start");
    if (std::isnan(start)) continue;
    const std::string label = "T = " + readable(start);
    chart.markers.push_back({start, runs.size() == 1 ? label : label + ", " + runs[r].name,
                             runs.size() == 1 ? 2 : static_cast<int>(r)});
  }
}

Chart layer_chart(const Runs& runs) {
  Chart chart{.title = runs.size() == 1
                           ? "Exploitation rate over decoder layers, last epoch"
                           : "Exploitation rate of mask tokens over decoder layers, last epoch",
              .x_label = "layers passed",
              .y_label = "share of the output"};
  chart.from_zero = true;
  chart.names_lone_line = runs.size() > 1;
  for (std::size_t r = 0; r < runs.size(); ++r) {
    const auto& lists = runs[r].log.last_list;
    const auto found = lists.find("mask_R_M_layers");
    if (found == lists.end()) continue;
    // Visible tokens have the rest, so several runs are compared by one line each.
    for (std::size_t q = 0; q < (runs.size() == 1 ? 2 : 1); ++q) {
      Series series{.name = runs.size() > 1 ? runs[r].name
                            : q == 0        ? "mask tokens"
                                            : "visible tokens"};
      series.colour = static_cast<int>(runs.size() == 1 ? q : r);
      series.y = found->second;
      if (q == 1)
        for (double& value : series.y) value = 1 - value;
      series.x.resize(series.y.size());
      std::iota(series.x.begin(), series.x.end(), 1.0);
      chart.series.push_back(std::move(series));
    }
  }
  return chart;
}

}  // namespace

std::vector<Chart> training_charts(const Runs& runs) {
  std::vector<Chart> charts = epoch_charts(runs, training_curves());
  for (Chart& chart : charts)
    if (chart.title.starts_with("Loss")) mark_guidance(runs, chart);
  return charts;
}

std::vector<Chart> result_charts(const Runs& runs) {
  std::vector<Curves> curves = result_curves();
  for (Curves& one : curves) one.now_and_then = true;
  return epoch_charts(runs, curves);
}

std::vector<Chart> exploitation_charts(const Runs& runs) {
  std::vector<Chart> charts = epoch_charts(runs, exploitation_curves());
  for (Chart& chart : charts) mark_guidance(runs, chart);
  charts.push_back(layer_chart(runs));
  return charts;
}

std::vector<Chart> further_charts(const Runs& runs) {
  std::vector<std::string> shown{"guide_start", "guide_auto_epoch"};
  for (const auto* curves : {&training_curves(), &result_curves(), &exploitation_curves()})
    for (const Curves& chart : *curves)
      for (const Quantity& quantity : chart.quantities) shown.push_back(quantity.key);
  std::vector<Curves> further;
  for (const RunRecord& run : runs)
    for (const std::string& key : run.log.keys) {
      if (std::find(shown.begin(), shown.end(), key) != shown.end()) continue;
      further.push_back({key, key, {{key, key}}});
      shown.push_back(key);
    }
  return epoch_charts(runs, further);
}

std::string cards(const std::vector<Chart>& charts) {
  std::string out;
  for (const Chart& chart : charts) out += chart_card(chart);
  return out.empty() ? "" : element("div", {{"class", "grid"}}, out);
}

}  // namespace sgmae
