#include "sgmae/report/overview.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

#include "sgmae/base/error.h"
#include "sgmae/report/blocks.h"
#include "sgmae/report/markup.h"

namespace sgmae {
namespace {

using Runs = std::vector<RunRecord>;

std::string percent(double share) {
  return std::isnan(share) ? "" : fixed(100 * share, 2) + " %";
}

std::string number_or_blank(double value, int digits = 4) {
  return std::isnan(value) ? "" : readable(value, digits);
}

std::string count_or_blank(double value) {
  return std::isnan(value) ? "" : readable(value, 12);
}

std::string clock(double seconds) {
  const auto whole = static_cast<long long>(std::llround(seconds));
  const auto two = [](long long value) { return (value < 10 ? "0" : "") + std::to_string(value); };
  return std::to_string(whole / 3600) + ":" + two(whole / 60 % 60) + ":" + two(whole % 60);
}

// Seconds of training steps, from the images of an epoch and their rate; without evaluation,
// pictures and relevance maps. NaN where the folder does not say.
double training_seconds(const RunRecord& run) {
  const auto rate = run.log.column.find("img_per_s");
  if (!run.messages.images_per_epoch || rate == run.log.column.end()) return NAN;
  double seconds = 0;
  for (const double images_per_second : rate->second)
    if (images_per_second > 0)
      seconds += static_cast<double>(*run.messages.images_per_epoch) / images_per_second;
  return seconds;
}

// Mean over epochs, weighted by their time (1 / throughput, since they have equally many images).
double mean_over_time(const RunRecord& run, const std::string& key) {
  const auto rate = run.log.column.find("img_per_s"), values = run.log.column.find(key);
  if (rate == run.log.column.end() || values == run.log.column.end()) return NAN;
  double sum = 0, time = 0;
  for (std::size_t i = 0; i < rate->second.size(); ++i) {
    if (!(rate->second[i] > 0) || std::isnan(values->second[i])) continue;
    sum += values->second[i] / rate->second[i];
    time += 1 / rate->second[i];
  }
  return time > 0 ? sum / time : NAN;
}

std::string picture_size(const RunRecord& run) {
  const std::string side = run.setting("input_size"), height = run.setting("input_height"),
                    width = run.setting("input_width");
  const auto or_side = [&](const std::string& value) {
    return value.empty() || value == "0" ? side : value;
  };
  return side.empty() || side == "0" ? "" : or_side(height) + "×" + or_side(width) + " pixels";
}

std::string masks(const RunRecord& run) {
  const std::string ratio = run.setting("mask_ratio");
  std::string kind = run.setting("mask_strategy");
  std::replace(kind.begin(), kind.end(), '_', '-');
  return joined({kind, ratio.empty() ? "" : ratio + " of the patches hidden"}, ", ");
}

std::string guidance(const RunRecord& run) {
  if (run.setting("mask_strategy") != "self_guided") return "";
  if (const double start = run.log.last("guide_start"); !std::isnan(start))
    return "began after epoch T = " + readable(start);
  return "not begun (guide_start = " + run.setting("guide_start") + ")";
}

std::string epochs(const RunRecord& run) {
  const std::string planned = run.setting("epochs");
  if (run.log.epoch.empty()) return planned.empty() ? "" : "none finished of " + planned;
  return std::to_string(run.log.epoch.size()) + (planned.empty() ? "" : " of " + planned);
}

// The last test, and the best where that was another.
std::string accuracy(const RunRecord& run, const std::string& key) {
  const double last = run.log.last(key);
  if (std::isnan(last)) return "";
  // MAE's evaluation logs percent, our k-NN test shares.
  const double scale = key.starts_with("knn") ? 100 : 1;
  const auto said = [&](double value) {
    return str(fixed(scale * value, 2), " % after epoch ",
               readable(run.log.epoch_of(key, value), 9));
  };
  const double best = run.log.largest(key);
  return said(last) + (best > last ? "; at best " + said(best) : "");
}

// "2026-11-28 13:09:23 UTC", of a time as events.jsonl has it.
std::string clock_time(std::string time) {
  if (time.size() != 20 || time[10] != 'T' || time.back() != 'Z') return time;
  time[10] = ' ';
  time.pop_back();
  return time + " UTC";
}

// Where events.jsonl does not say: env.json, which older versions wrote anew at every call.
std::string started(const RunRecord& run) {
  return clock_time(run.messages.began.empty() ? run.environment_value("started")
                                               : run.messages.began);
}

std::string flop(double tera) {
  if (std::isnan(tera)) return "";
  return tera >= 1000 ? readable(tera / 1000) + " PFLOP" : readable(tera) + " TFLOP";
}

std::string notes(const Runs& runs) {
  std::string items;
  for (const RunRecord& run : runs)
    for (const std::string& note : run.notes) items += text_element("li", run.name + ": " + note);
  return items.empty() ? "" : element("ul", {{"class", "warning"}}, items);
}

}  // namespace

std::string overview(const Runs& runs) {
  using Say = std::function<std::string(const RunRecord&)>;
  const std::vector<std::pair<std::string, Say>> rows{
      {"Model",
       [](const RunRecord& r) {
         return joined({r.setting("model"), picture_size(r)}, ", ");
       }},
      {"Sizes", [](const RunRecord& r) { return r.messages.model; }},
      {"Checkpoint",
       [](const RunRecord& r) {
         return joined({r.setting("checkpoint"), r.setting("finetune")}, ", ");
       }},
      {"Data",
       [](const RunRecord& r) {
         return joined({r.setting("data_path"), r.messages.data}, ": ");
       }},
      {"Masks", masks},
      {"Guidance", guidance},
      {"Epochs", epochs},
      {"Training loss",
       [](const RunRecord& r) { return number_or_blank(r.log.last("train_loss")); }},
      {"k-NN accuracy", [](const RunRecord& r) { return accuracy(r, "knn_acc1"); }},
      {"k-NN accuracy before training",
       [](const RunRecord& r) { return percent(r.messages.untrained_knn.value_or(NAN)); }},
      {"k-NN accuracy of raw pixels",
       [](const RunRecord& r) { return percent(r.log.last("knn_acc1_pixels")); }},
      {"Test accuracy", [](const RunRecord& r) { return accuracy(r, "test_acc1"); }},
      {"Box AP", [](const RunRecord& r) { return accuracy(r, "test_box_ap"); }},
      {"Mask AP", [](const RunRecord& r) { return accuracy(r, "test_mask_ap"); }},
      {"Mean IoU", [](const RunRecord& r) { return accuracy(r, "test_miou"); }},
      {"Time in training steps",
       [](const RunRecord& r) {
         const double seconds = training_seconds(r);
         const std::string threads = r.environment_value("threads");
         return std::isnan(seconds)
                    ? ""
                    : clock(seconds) + (threads.empty() ? "" : " on " + threads + " threads");
       }},
      {"Throughput",
       [](const RunRecord& r) {
         const double rate = mean_over_time(r, "img_per_s");
         return std::isnan(rate) ? "" : readable(rate) + " images/s";
       }},
      {"Arithmetic",
       [](const RunRecord& r) {
         return flop(mean_over_time(r, "tflop_per_s") * training_seconds(r));
       }},
      {"Waiting for data",
       [](const RunRecord& r) { return percent(mean_over_time(r, "data_wait_frac")); }},
      {"Skipped steps",
       [](const RunRecord& r) { return count_or_blank(r.log.largest("skipped_steps")); }},
      {"Unreadable images",
       [](const RunRecord& r) { return count_or_blank(r.log.largest("unreadable_images")); }},
      {"Restarts",
       [](const RunRecord& r) {
         return r.log.epoch.empty() ? ""
                : r.messages.continued + r.messages.rollbacks == 0
                    ? "none"
                    : str(r.messages.continued, " continued, ", r.messages.rollbacks,
                          " rolled back");
       }},
      {"Machine",
       [](const RunRecord& r) {
         return joined({r.environment_value("processor"), r.environment_value("precision")}, ", ");
       }},
      {"Started", started},
      {"Finished", [](const RunRecord& r) { return clock_time(r.messages.finished); }}};
  Table table;
  if (runs.size() > 1) {
    table.head = {""};
    for (const RunRecord& run : runs) table.head.push_back(run.name);
  }
  for (const auto& [label, say] : rows) {
    std::vector<std::string> row{label};
    for (const RunRecord& run : runs) row.push_back(say(run));
    if (std::any_of(row.begin() + 1, row.end(), [](const auto& cell) { return !cell.empty(); }))
      table.rows.push_back(std::move(row));
  }
  return table_html(table) + notes(runs);
}

}  // namespace sgmae
