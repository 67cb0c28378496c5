#include "sgmae/report/report.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "sgmae/base/file.h"
#include "sgmae/base/log.h"
#include "sgmae/parallel/process_group.h"
#include "sgmae/report/blocks.h"
#include "sgmae/report/confusion.h"
#include "sgmae/report/curves.h"
#include "sgmae/report/evaluations.h"
#include "sgmae/report/markup.h"
#include "sgmae/report/overview.h"
#include "sgmae/report/paper_figures.h"
#include "sgmae/report/reproduce.h"

namespace sgmae {
namespace {

using nlohmann::ordered_json;
namespace fs = std::filesystem;
using Runs = std::vector<RunRecord>;

// ---- pictures -----------------------------------------------------------------------------------

// `count` of `files`, the first and the last among them, evenly spaced.
std::vector<fs::path> spaced(const std::vector<fs::path>& files, std::size_t count) {
  if (files.size() <= count) return files;
  if (count == 1) return {files.back()};
  std::vector<fs::path> chosen;
  for (std::size_t i = 0; i < count; ++i)
    chosen.push_back(files[i * (files.size() - 1) / (count - 1)]);
  return chosen;
}

// masks_after_epoch_0009.png: "masks after epoch 9"
std::string spoken(const fs::path& file) {
  std::string name = file.stem().string(), out;
  std::replace(name.begin(), name.end(), '_', ' ');
  for (std::size_t i = 0; i < name.size(); ++i) {
    const bool leading = name[i] == '0' && (i == 0 || name[i - 1] == ' ') && i + 1 < name.size() &&
                         name[i + 1] >= '0' && name[i + 1] <= '9';
    if (leading)
      name[i] = ' ';
    else
      out += name[i];
  }
  return out;
}

// Pictures that are shown together: those of a folder; the best and the worst of a test apart.
std::string group_of(const fs::path& file) {
  const std::string name = file.filename().string();
  for (const char* ranked : {"best_", "worst_"})
    if (name.starts_with(ranked)) return ranked;
  return "";
}

// What the run or evaluation in whose figures/ a picture lies came to; null where that is not
// known.
const RunResult* result_of(const RunRecord& run, const fs::path& picture) {
  const fs::path folder = picture.parent_path().parent_path();
  for (const RunResult& result : run.results)
    if ((run.folder / result.file).parent_path() == folder) return &result;
  return nullptr;
}

// The page draws the matrix itself, with names.
bool is_drawn_otherwise(const RunRecord& run, const fs::path& picture) {
  const RunResult* const result = result_of(run, picture);
  return picture.filename() == "confusion.png" && result && read_confusion(result->content);
}

bool is_mask_sheet(const fs::path& file) {
  return file.filename().string().starts_with("masks_after_epoch");
}

std::string title_of(const RunRecord& run, const fs::path& file) {
  const std::string epochs = is_mask_sheet(file) ? run.setting("epochs") : "";
  return run.name + ", " + spoken(file) + (epochs.empty() ? "" : " of " + epochs);
}

std::string caption_of(const RunRecord& run, const fs::path& file) {
  if (is_mask_sheet(file))
    return "Columns: input; object, tinted; relevance; informed mask, hints outlined; "
           "reconstruction.";
  if (file.filename() == "neighbours.png")
    return "Left: a test image; then the training images nearest to it, framed by whether they are "
           "of its class.";
  const std::string group = group_of(file);
  if (group.empty()) return "";
  const std::string of = group == "best_" ? "Of the images in which most is right."
                                          : "Of those in which least is right.";
  const RunResult* const result = result_of(run, file);
  if (result && evaluation_name(*result) == "Segmentation")
    return "The photo; what is there; what was predicted. " + of;
  return "Left: what is there; right: what was found, with its score (0.5 and above). " + of;
}

std::string pictures(const Runs& runs, const std::set<fs::path>& measured,
                     const ReportOptions& options, PictureBox& box) {
  std::string out;
  for (const RunRecord& run : runs) {
    std::map<std::pair<fs::path, std::string>, std::vector<fs::path>> groups;
    for (const fs::path& file : run.figures)
      if (!measured.contains(file) && !is_drawn_otherwise(run, file))
        groups[{file.parent_path(), group_of(file)}].push_back(file);
    for (const auto& [place, files] : groups) {
      const auto& [folder, ranked] = place;
      const auto count = static_cast<std::size_t>(options.figures);
      auto shown = spaced(files, count);
      if (!ranked.empty()) shown.assign(files.begin(), files.begin() + std::ssize(shown));
      std::string group;
      for (const fs::path& file : shown)
        group += box.picture(file, title_of(run, file), caption_of(run, file));
      if (shown.size() < files.size())
        group += text_element("p",
                              str(files.size() - shown.size(), " more in ",
                                  folder.lexically_relative(run.folder.parent_path()).string()),
                              {{"class", "quiet"}});
      out += element("div", {{"class", "grid pictures"}}, group);
    }
  }
  return out;
}

// ---- what happened, options, how to make it again -----------------------------------------------

std::string happenings(const Runs& runs) {
  std::string out;
  for (const RunRecord& run : runs) {
    if (run.messages.events.empty()) continue;
    std::string items;
    for (const std::string& event : run.messages.events) items += text_element("li", event);
    if (run.messages.further_events > 0)
      items += text_element("li", str("and ", run.messages.further_events, " more in train.log"));
    const std::string list = element("ul", {}, items);
    const std::size_t lines = run.messages.events.size();
    out += text_element("h3", run.name) + (lines > 12 ? fold(str(lines, " messages"), list) : list);
  }
  return out;
}

std::string option_table(const Runs& runs) {
  Table same, differing;
  same.head = {"option"};
  for (const RunRecord& run : runs) same.head.push_back(run.name);
  differing.head = same.head;
  std::vector<std::string> names;
  std::map<std::string, std::vector<std::string>> values;
  for (std::size_t r = 0; r < runs.size(); ++r)
    for (const Setting& setting : runs[r].settings) {
      const std::string name = setting.section + "." + setting.name;
      const auto [at, is_new] = values.try_emplace(name, runs.size());
      if (is_new) names.push_back(name);
      at->second[r] = setting.value.empty() ? "\"\"" : setting.value;
    }
  for (const std::string& name : names) {
    std::vector<std::string> row{name};
    const std::vector<std::string>& cells = values[name];
    row.insert(row.end(), cells.begin(), cells.end());
    const bool differs =
        std::any_of(cells.begin(), cells.end(), [&](const auto& c) { return c != cells[0]; });
    (differs ? differing : same).rows.push_back(std::move(row));
  }
  differing.marked.assign(differing.rows.size(), true);
  std::string out;
  if (!differing.rows.empty()) out += text_element("p", "These differ:") + table_html(differing);
  if (!same.rows.empty())
    out += fold(str(same.rows.size(), runs.size() > 1 ? " options that are the same" : " options"),
                table_html(same));
  return out;
}

struct Section {
  std::string id, title, content;
};

}  // namespace

Report make_report(Runs runs, const ReportOptions& options,
                   const std::vector<StudyRecord>& studies) {
  unique_names(runs);
  PictureBox box(static_cast<std::uintmax_t>(options.figure_mib) << 20);
  std::set<fs::path> measured;
  // The measurements' pictures come first: they are the fewer, and asked for.
  const std::string measurements = analysis(runs, measured, box);
  std::string training = cards(training_charts(runs));
  if (const std::string more = cards(further_charts(runs)); !more.empty())
    training += fold("Everything else in log.txt", more);
  std::string of_studies;
  for (const StudyRecord& study : studies)
    of_studies += (studies.size() > 1 ? text_element("h3", study.name) : "") + study_results(study);
  const std::vector<Section> sections{
      {"study", "Study", of_studies},
      {"overview", "Overview", overview(runs)},
      {"results", "Results", results(runs, options.page)},
      {"training", "Training", training},
      {"exploitation", "Exploitation of mask tokens", cards(exploitation_charts(runs))},
      {"analysis", "Analysis", measurements},
      {"pictures", "Pictures", pictures(runs, measured, options, box)},
      {"messages", "What happened", happenings(runs)},
      {"options", "Options", option_table(runs)},
      {"reproduce", "How to reproduce", how_to_reproduce(runs)}};

  std::vector<std::string> names;
  for (const StudyRecord& study : studies) names.push_back(study.name);
  for (const RunRecord& run : runs)
    if (studies.empty()) names.push_back(run.name);
  const std::string title = options.title.empty() ? joined(names, ", ") : options.title;
  std::string links, body;
  for (const Section& section : sections) {
    if (section.content.empty()) continue;
    links += text_element("a", section.title, {{"href", "#" + section.id}});
    body += element("section", {{"id", section.id}},
                    text_element("h2", section.title) + section.content);
  }
  Report report;
  report.figures_left_out = box.left_out();
  report.html = page_html(title, links, body);
  return report;
}

ordered_json write_report(const std::vector<fs::path>& folders, const fs::path& output,
                          const ReportOptions& options) {
  check(!folders.empty(), ExitCode::usage, "give one or more run folders");
  check(options.figures > 0 && options.figure_mib >= 0, ExitCode::usage,
        "figures must be 1 or more, and figure_mib not negative");
  Runs runs;
  std::vector<StudyRecord> studies;
  for (const fs::path& folder : folders) {
    const std::size_t before = runs.size();
    if (is_study(folder))
      studies.push_back(read_study(folder, runs));
    else
      runs.push_back(read_run(folder));
    for (std::size_t i = before; i < runs.size(); ++i)
      for (std::size_t j = 0; j < i; ++j)
        check(runs[i].folder != runs[j].folder, ExitCode::usage, folder.string(),
              " is given twice");
  }
  ordered_json described = ordered_json::array();
  for (const RunRecord& run : runs) {
    ordered_json entry{{"name", run.name}, {"epochs", run.log.epoch.size()}};
    entry["train_loss"] = nullptr;
    if (const double loss = run.log.last("train_loss"); std::isfinite(loss))
      entry["train_loss"] = loss;
    entry["notes"] = run.notes;
    described.push_back(std::move(entry));
  }
  ReportOptions of_page = options;
  of_page.page = fs::absolute(output).lexically_normal().parent_path();
  const Report report = make_report(std::move(runs), of_page, studies);
  write_file(output, report.html);
  return {{"report", output.string()},
          {"bytes", report.html.size()},
          {"figures_left_out", report.figures_left_out},
          {"runs", described}};
}

void report_on(const fs::path& run) {
  if (!processes().leads()) return;
  try {
    write_report({run}, run / "report.html", {});
    info("report: ", (run / "report.html").string());
  } catch (const Error& error) {
    warn("no report: ", error.what());
  }
}

void report_on_run_around(const fs::path& evaluation) {
  if (evaluation.empty()) return;
  fs::path folder = fs::absolute(evaluation).lexically_normal();
  if (!folder.has_filename()) folder = folder.parent_path();  // "linprobe/"
  const fs::path run = folder.parent_path();
  std::error_code error;
  if (!fs::is_regular_file(run / "config.toml", error)) return;
  try {
    if (command_of(read_run(run)) != "pretrain") return;
  } catch (const Error&) {  // a config.toml of something else
    return;
  }
  report_on(run);
}

}  // namespace sgmae
