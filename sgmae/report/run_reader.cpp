#include "sgmae/report/run_reader.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <limits>
#include <sstream>

#include "sgmae/base/file.h"
#include "sgmae/base/json.h"
#include "sgmae/base/toml.h"
#include "sgmae/report/json_text.h"
#include "sgmae/report/markup.h"

namespace sgmae {
namespace {

using nlohmann::ordered_json;
namespace fs = std::filesystem;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// Numbers that are not finite are "nan", "inf" or "-inf" (base/json.h), or Python's, which
// parse_json makes null.
bool is_number_or_null(const ordered_json& value) {
  return value.is_number() || value.is_null() || value == "nan" || value == "inf" ||
         value == "-inf";
}

double number_of(const ordered_json& value) {
  return is_number_or_null(value) ? json_number(value) : kNan;
}

// One folder down as well, since analyses and evaluations of a run are kept in it.
std::vector<fs::path> folder_and_subfolders(const fs::path& folder) {
  std::vector<fs::path> folders;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error))
    if (at->is_directory(error)) folders.push_back(at->path());
  std::sort(folders.begin(), folders.end());
  folders.insert(folders.begin(), folder);
  return folders;
}

// 9 before 10: runs of digits compare as numbers, by length without leading zeros.
bool natural_less(const std::string& a, const std::string& b) {
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  std::size_t i = 0, j = 0;
  while (i < a.size() && j < b.size()) {
    if (digit(a[i]) && digit(b[j])) {
      while (i < a.size() && a[i] == '0') ++i;
      while (j < b.size() && b[j] == '0') ++j;
      std::size_t i_end = i, j_end = j;
      while (i_end < a.size() && digit(a[i_end])) ++i_end;
      while (j_end < b.size() && digit(b[j_end])) ++j_end;
      if (i_end - i != j_end - j) return i_end - i < j_end - j;
      const int order = a.compare(i, i_end - i, b, j, j_end - j);
      if (order != 0) return order < 0;
      i = i_end;
      j = j_end;
    } else if (a[i] != b[j]) {
      return a[i] < b[j];
    } else {
      ++i;
      ++j;
    }
  }
  return a.size() - i < b.size() - j;
}

std::vector<fs::path> pictures_in(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error))
    if (at->path().extension() == ".png" && at->is_regular_file(error)) files.push_back(at->path());
  std::sort(files.begin(), files.end(), [](const fs::path& a, const fs::path& b) {
    return natural_less(a.string(), b.string());
  });
  return files;
}

// Numbers with the fewest digits that read back the same.
std::string printed(const toml::node& value) {
  if (const auto* text = value.as_string()) return text->get();
  if (const auto* number = value.as_floating_point()) {
    char text[32];
    return {text, std::to_chars(text, text + sizeof text, number->get()).ptr};
  }
  std::ostringstream out;
  value.visit([&](const auto& node) { out << toml::toml_formatter(node); });
  return out.str();
}

const std::string kBeforeTheFirstStep = "before the first step";

// Where an event stands; its "epoch" counts those finished.
std::string place_of(const ordered_json& event) {
  const auto epoch = json_value<std::int64_t>(event, "epoch"),
             step = json_value<std::int64_t>(event, "step");
  if (!epoch || !step) return "at an unknown step";
  if (*step == 0) return *epoch == 0 ? kBeforeTheFirstStep : str("after epoch ", *epoch);
  return str("in epoch ", readable(static_cast<double>(*epoch) + 1, 15), ", after step ", *step);
}

struct Reader {
  RunRecord run;

  // The text of a file of the run, or nothing with a note when it is there but unreadable.
  std::optional<std::string> text_of(const fs::path& file) {
    if (!fs::exists(file)) return std::nullopt;
    try {
      return read_text(file, ExitCode::data);
    } catch (const Error& error) {
      run.notes.emplace_back(error.what());
      return std::nullopt;
    }
  }

  std::optional<ordered_json> json_of(const fs::path& file) {
    const auto text = text_of(file);
    if (!text) return std::nullopt;
    ordered_json content = parse_json(*text);
    if (content.is_object()) return content;
    run.notes.push_back(relative(file) + " is left out: it is not a JSON object");
    return std::nullopt;
  }

  std::string relative(const fs::path& file) const {
    return file.lexically_relative(run.folder).string();
  }

  void read_settings();
  bool read_facts();
  void read_messages();
  void read_result(const fs::path& part);
};

void Reader::read_settings() {
  const auto text = text_of(run.folder / "config.toml");
  if (!text) return;
  run.config_text = *text;
  struct Placed {
    toml::source_index line;
    Setting setting;
  };
  std::vector<Placed> placed;
  try {
    const toml::table document = toml::parse(*text);
    for (const auto& [section, content] : document) {
      const toml::table* table = content.as_table();
      if (!table) continue;
      for (const auto& [name, value] : *table) {
        placed.push_back({value.source().begin.line,
                          {std::string(section.str()), std::string(name.str()), printed(value)}});
      }
    }
  } catch (const toml::parse_error& error) {
    run.notes.push_back(str("config.toml is left out: line ", error.source().begin.line, ": ",
                            error.description()));
  } catch (const std::runtime_error& error) {
    run.notes.push_back(str("config.toml is left out: ", error.what()));
  }
  std::stable_sort(placed.begin(), placed.end(),
                   [](const Placed& a, const Placed& b) { return a.line < b.line; });
  for (Placed& entry : placed) run.settings.push_back(std::move(entry.setting));
}

// False for a run of an older version.
bool Reader::read_facts() {
  const auto facts = json_of(run.folder / "run.json");
  if (!facts) return false;
  RunMessages& m = run.messages;
  m = parse_events(text_of(run.folder / "events.jsonl").value_or(""));
  m.kind = json_value<std::string>(*facts, "kind").value_or("");
  m.model = json_value<std::string>(*facts, "model").value_or("");
  m.data = json_value<std::string>(*facts, "data").value_or("");
  m.images_per_epoch = json_value<std::int64_t>(*facts, "images_per_epoch");
  return true;
}

void Reader::read_messages() {
  const bool has_facts = read_facts();
  std::ifstream file(run.folder / "train.log");
  RunMessages& m = run.messages;
  for (std::string line; std::getline(file, line);) {
    const auto begins = [&](std::string_view start) { return line.starts_with(start); };
    const bool rolls_back = line.find("rolling back to") != std::string::npos;
    const bool skips = begins("warning: ") && line.find(" skipped: loss ") != std::string::npos;
    if (has_facts) {
      if (begins("warning: ") && !rolls_back && !skips) m.tell(line);
      continue;
    }
    if (begins("model: ")) m.model = line.substr(7);
    if (begins("data: ")) {
      m.data = line.substr(6);
      long long images = 0, steps = 0, batch = 0;
      if (std::sscanf(line.c_str(), "data: %lld images; %lld steps of %lld images", &images, &steps,
                      &batch) == 3)
        m.images_per_epoch = steps * batch;
    }
    const bool continues = begins("resumed from");
    m.rollbacks += rolls_back;
    m.continued += continues;
    m.skipped += skips;
    if (begins("warning: ") || continues || begins("guidance began") ||
        begins("relevance maps of") || begins("k-NN accuracy"))
      m.tell(line);
  }
  // In older runs a roll-back was printed as a restart too.
  if (!has_facts) m.continued -= std::min(m.continued, m.rollbacks);
}

// The last test of a log, as result.json would have it: shares, without "test_".
ordered_json last_test(const RunLog& log) {
  ordered_json result = ordered_json::object();
  for (const std::string& key : log.keys)
    if (key.starts_with("test_") && key != "test_loss") result[key.substr(5)] = log.last(key) / 100;
  return result;
}

// `part` is the run's folder or one in it.
void Reader::read_result(const fs::path& part) {
  RunResult result;
  if (auto content = json_of(part / "result.json")) {
    result.file = relative(part / "result.json");
    result.content = std::move(*content);
  }
  if (part == run.folder) {
    result.kind = run.messages.kind;
  } else {
    std::error_code error;
    if (fs::is_regular_file(part / "report.html", error)) result.report = part / "report.html";
    if (const auto facts = json_of(part / "run.json"))
      result.kind = json_value<std::string>(*facts, "kind").value_or("");
    if (result.file.empty() && !result.kind.empty() && result.kind != "pretrain") {
      Reader evaluation;
      evaluation.run.folder = part;
      evaluation.read_settings();
      if (const auto text = text_of(part / "log.txt")) evaluation.run.log = parse_log(*text);
      result.file = relative(part / "log.txt");
      result.content = last_test(evaluation.run.log);
      result.progress = evaluation.run.progress();
      if (result.progress.empty()) result.progress = "no epoch finished";
    }
  }
  if (!result.file.empty()) run.results.push_back(std::move(result));
}

}  // namespace

double RunLog::last(const std::string& key) const {
  const auto found = column.find(key);
  if (found == column.end()) return kNan;
  for (auto value = found->second.rbegin(); value != found->second.rend(); ++value)
    if (!std::isnan(*value)) return *value;
  return kNan;
}

double RunLog::epoch_of(const std::string& key, double value) const {
  const auto found = column.find(key);
  if (found == column.end()) return kNan;
  for (std::size_t i = found->second.size(); i-- > 0;)
    if (found->second[i] == value) return epoch[i];
  return kNan;
}

double RunLog::largest(const std::string& key) const {
  double largest = kNan;
  if (const auto found = column.find(key); found != column.end())
    for (const double value : found->second) largest = std::fmax(largest, value);
  return largest;
}

void RunMessages::tell(std::string event) {
  if (events.size() < most_events)
    events.push_back(std::move(event));
  else
    ++further_events;
}

RunMessages parse_events(const std::string& text) {
  RunMessages m;
  std::vector<ordered_json> entries;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) entries.push_back(parse_json(line));
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const ordered_json& entry = entries[i];
    const auto word = [&](const char* key) {
      return json_value<std::string>(entry, key).value_or("");
    };
    const auto number = [&](const char* key) {
      return readable(json_value<double>(entry, key).value_or(kNan), 9);
    };
    const std::string event = word("event"), place = place_of(entry);
    if (event == "began") {
      if (m.began.empty()) m.began = word("time");
    } else if (event == "finished") {
      m.finished = word("time");
    } else if (event == "evaluated") {
      if (word("measure") == "k-NN accuracy" && place == kBeforeTheFirstStep)
        m.untrained_knn = json_value<double>(entry, "value");
    } else if (event == "resumed") {
      // Called again when it was finished.
      if (i + 1 < entries.size() && !m.finished.empty() &&
          json_value<std::string>(entries[i + 1], "event") == "finished" &&
          place_of(entries[i + 1]) == place) {
        ++i;
        continue;
      }
      if (m.began.empty() && i + 1 < entries.size() &&
          json_value<std::string>(entries[i + 1], "event") == "began") {
        m.begun_from = word("from");
        m.tell("began from " + m.begun_from);
        continue;
      }
      ++m.continued;
      m.tell("resumed " + place + " from " + word("from"));
    } else if (event == "rolled back") {
      ++m.rollbacks;
      m.tell("rolled back from " + word("at") + " to " + word("to") + ": " + word("because"));
    } else if (event == "skipped") {
      ++m.skipped;
      m.tell("step skipped " + place + ": loss " + number("loss") + ", gradient norm " +
             number("grad_norm"));
    } else if (event == "masks") {
      m.tell(word("text"));
    } else if (event == "interrupted") {
      m.tell("interrupted " + place);
    }
  }
  return m;
}

RunLog parse_log(const std::string& text) {
  RunLog log;
  std::map<double, ordered_json> by_epoch;
  std::istringstream lines(text);
  double next = 0;  // for lines that do not say which epoch they are of
  for (std::string line; std::getline(lines, line);) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    ordered_json entry = parse_json(line);
    if (!entry.is_object()) {
      ++log.unreadable;
      continue;
    }
    const double said = entry.contains("epoch") ? number_of(entry["epoch"]) : next;
    if (!std::isfinite(said)) {
      ++log.unreadable;
      continue;
    }
    next = said + 1;
    for (const auto& [key, value] : entry.items()) {
      if (key == "epoch" || !is_number_or_null(value) || log.column.contains(key)) continue;
      log.keys.push_back(key);
      log.column[key];
    }
    if (!by_epoch.insert_or_assign(said, std::move(entry)).second) ++log.repeated;
  }
  for (auto& [key, values] : log.column) values.reserve(by_epoch.size());
  // Older versions counted from 0 (train/run_folder.h).
  const double before_first = !by_epoch.empty() && by_epoch.begin()->first == 0 ? 1 : 0;
  for (const auto& [epoch, entry] : by_epoch) {
    log.epoch.push_back(epoch + before_first);
    for (auto& [key, values] : log.column) {
      const auto found = entry.find(key);
      values.push_back(found == entry.end() ? kNan : number_of(*found));
    }
  }
  if (by_epoch.empty()) return log;
  for (const auto& [key, value] : by_epoch.rbegin()->second.items())
    if (value.is_array() && std::all_of(value.begin(), value.end(), is_number_or_null))
      for (const ordered_json& number : value) log.last_list[key].push_back(number_of(number));
  return log;
}

std::string RunRecord::setting(const std::string& name) const {
  for (const Setting& s : settings)
    if (s.name == name) return s.value;
  return "";
}

std::string RunRecord::environment_value(const std::string& key) const {
  const auto found = environment.find(key);
  if (found == environment.end() || found->is_null()) return "";
  return found->is_string() ? found->get<std::string>()
                            : found->dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

std::string RunRecord::progress() const {
  if (log.epoch.empty()) return "";
  const std::string planned = setting("epochs");
  return "after epoch " + readable(log.epoch.back(), 9) + (planned.empty() ? "" : " of " + planned);
}

RunRecord read_run(const fs::path& folder) {
  std::error_code error;
  check(fs::exists(folder, error), ExitCode::data, folder.string(),
        ": no such folder; name the --output_dir of a run");
  check(fs::is_directory(folder, error), ExitCode::data, folder.string(),
        " is a file; name the folder of a run");
  Reader reader;
  RunRecord& run = reader.run;
  run.folder = fs::absolute(folder).lexically_normal();
  if (!run.folder.has_filename()) run.folder = run.folder.parent_path();  // "run/"
  run.name = run.folder.filename().string();
  reader.read_settings();
  run.environment = reader.json_of(run.folder / "env.json").value_or(ordered_json::object());
  if (const auto text = reader.text_of(run.folder / "log.txt")) run.log = parse_log(*text);
  reader.read_messages();
  for (const fs::path& part : folder_and_subfolders(run.folder)) {
    reader.read_result(part);
    if (fs::is_regular_file(part / "metrics.json", error))
      run.measurements.push_back(part / "metrics.json");
    const auto pictures = pictures_in(part / "figures");
    run.figures.insert(run.figures.end(), pictures.begin(), pictures.end());
  }
  check(!run.settings.empty() || !run.log.epoch.empty() || !run.results.empty() ||
            !run.measurements.empty() || !run.figures.empty(),
        ExitCode::data, folder.string(),
        " is not a run folder: no config.toml, log.txt, result.json, metrics.json or figures that "
        "can be read");
  if (run.log.unreadable > 0)
    run.notes.push_back(str("log.txt: ", run.log.unreadable,
                            " lines are left out, since they are not whole JSON objects"));
  if (run.log.repeated > 0)
    run.notes.push_back(str("log.txt: ", run.log.repeated,
                            " epochs were run more than once; the last line of each counts"));
  return std::move(reader.run);
}

void unique_names(std::vector<RunRecord>& runs) {
  for (std::size_t depth = 1; depth < 16; ++depth) {
    std::map<std::string, int> count;
    for (const RunRecord& run : runs) ++count[run.name];
    bool unique = true;
    for (RunRecord& run : runs) {
      if (count[run.name] == 1) continue;
      unique = false;
      fs::path name, rest = run.folder;
      for (std::size_t i = 0; i <= depth && rest.has_filename(); ++i, rest = rest.parent_path())
        name = name.empty() ? rest.filename() : rest.filename() / name;
      run.name = name.string();
    }
    if (unique) return;
  }
}

}  // namespace sgmae
