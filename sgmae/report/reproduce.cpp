#include "sgmae/report/reproduce.h"

#include <algorithm>
#include <string_view>

#include "sgmae/report/blocks.h"
#include "sgmae/report/markup.h"
#include "sgmae/tasks/pretrain_options.h"

namespace sgmae {

std::string shell_word(const std::string& text) {
  constexpr std::string_view plain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./:,@%";
  if (!text.empty() && text.find_first_not_of(plain) == std::string::npos) return text;
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

std::string command_of(const RunRecord& run) {
  const auto has = [&](std::string_view name) {
    return std::any_of(run.settings.begin(), run.settings.end(),
                       [&](const Setting& setting) { return setting.name == name; });
  };
  if (has("mask_strategy")) return "pretrain";
  if (has("anchor_scale")) return "detect";
  if (has("auxiliary_weight")) return "segment";
  if (has("layer_decay")) return "finetune";
  return has("cached_features") ? "linprobe" : "";
}

std::string reproducing_command(const RunRecord& run) {
  const std::string name = command_of(run);
  if (name.empty()) return "";
  PretrainOptions options;
  Options defaults;
  if (name == "pretrain") options.declare(defaults);
  std::string command = "sgmae " + name;
  std::vector<Setting> settings = run.settings;
  if (!run.messages.begun_from.empty()) {  // config.toml does not keep it
    std::erase_if(settings, [](const Setting& setting) { return setting.name == "resume"; });
    settings.push_back({"run", "resume", run.messages.begun_from});
  }
  for (const Setting& setting : settings) {
    const auto known =
        std::find_if(defaults.all().begin(), defaults.all().end(),
                     [&](const OptionInfo& option) { return option.name == setting.name; });
    if (known != defaults.all().end()) {
      const std::string before = known->print();
      try {
        known->assign(setting.value);
        if (known->print() == before) continue;
      } catch (const Error&) {  // of another version; written as it stands
      }
    } else if (setting.value.empty()) {
      continue;
    }
    if (setting.value == "true" || setting.value == "false") {
      command += std::string(setting.value == "true" ? " --" : " --no_") + setting.name;
    } else {  // joined, since a flag alone means true and takes no word that follows
      command += " --" + setting.name + "=" + shell_word(setting.value);
    }
  }
  return command;
}

std::string how_to_reproduce(const std::vector<RunRecord>& runs) {
  std::string out;
  for (const RunRecord& run : runs) {
    if (run.config_text.empty() && run.environment.empty()) continue;
    out += text_element("h3", run.name);
    if (const std::string command = reproducing_command(run); !command.empty())
      out += element("pre", {{"tabindex", "0"}}, text_element("code", command));
    Table table;
    for (const auto& [key, value] : run.environment.items())
      table.rows.push_back({key, run.environment_value(key)});
    if (!table.rows.empty()) out += fold("Versions and machine", table_html(table));
    if (!run.config_text.empty())
      out += fold("config.toml", element("pre", {{"tabindex", "0"}}, escape(run.config_text)));
  }
  return out;
}

}  // namespace sgmae
