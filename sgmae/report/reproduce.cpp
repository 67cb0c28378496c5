#include "sgmae/report/reproduce.h"

#include <algorithm>
#include <string_view>

#include "sgmae/train/options.h"

namespace sgmae {

std::string shell_word(const std::string& text) {
  constexpr std::string_view plain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./:,@%";
  if (!text.empty() && text.find_first_not_of(plain) == std::string::npos) return text;
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

std::string reproducing_command(const RunRecord& run) {
  if (run.settings.empty()) return "";
  PretrainOptions defaults;
  Options options;
  defaults.declare(options);
  std::string command = "sgmae pretrain";
  for (const Setting& setting : run.settings) {
    const auto known =
        std::find_if(options.all().begin(), options.all().end(),
                     [&](const OptionInfo& option) { return option.name == setting.name; });
    if (known == options.all().end())
      return "sgmae COMMAND --config config.toml  # saved from below";
    const std::string before = known->print();
    const std::string value = run.setting(setting.name);
    try {
      known->assign(value);
    } catch (const Error&) {
      return "sgmae COMMAND --config config.toml  # saved from below";
    }
    if (known->print() == before) continue;
    if (known->is_flag) {
      command += " --" + std::string(value == "true" ? "" : "no_") + setting.name;
    } else {
      command += " --" + setting.name + " " + shell_word(value);
    }
  }
  return command;
}

}  // namespace sgmae
