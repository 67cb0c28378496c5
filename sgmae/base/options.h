// Options declared once. A command's option struct binds its members here, and from that come the
// flags, the TOML keys, the help text, the documentation and the printed resolved configuration.
//
//   struct Example {
//     int batch_size = 64;
//     Target target = Target::object;
//     std::string folder;
//     void declare(Options& o) {
//       o.section("optim");
//       o.add("batch_size", batch_size, "images per step on this process");
//       o.add("guide_target", target, {{"object", Target::object}, …}, "side to hide");
//       o.add("output_dir", folder, "run folder").alias("job_dir").may_change_on_resume();
//     }
//   };
//
// The TOML key is section.name, the flag --name (underscores or dashes). Later assignments win;
// the program applies them in the order recipe, --set, flags. An alias names the same option; in a
// TOML document that has both, the option's own name counts.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sgmae/base/error.h"

namespace sgmae {

struct OptionInfo {
  std::string section, name, help;
  std::vector<std::string> aliases;
  bool changeable = false;    // it says where a run lives or how fast it goes, not what comes out
  std::string type;           // "text", "integer", "number", "flag", or "a|b|c"
  std::string default_value;  // as TOML
  bool is_flag = false;       // --name alone means true, --no_name false
  std::function<void(const std::string&)> assign;  // from text; throws Error(usage)
  std::function<std::string()> print;              // as TOML

  // For chaining behind Options::add.
  OptionInfo& alias(std::string other) {
    aliases.push_back(std::move(other));
    return *this;
  }
  OptionInfo& may_change_on_resume() {
    changeable = true;
    return *this;
  }
  bool is_called(std::string_view word) const;  // its name or an alias
  std::string meaning() const;                  // help, and by what other names it is known
};

class Options {
 public:
  // Of the options added next. TOML files of older versions may have them in `formerly`.
  void section(std::string name, std::string formerly = "") {
    section_ = std::move(name);
    former_section_ = std::move(formerly);
  }

  // Each returns the declared option, valid until the next one is added.
  OptionInfo& add(std::string name, std::string& value, std::string help);
  // A flag that may be given several times; the values collect.
  OptionInfo& add(std::string name, std::vector<std::string>& values, std::string help);
  OptionInfo& add(std::string name, bool& value, std::string help);
  OptionInfo& add(std::string name, int& value, std::string help);
  OptionInfo& add(std::string name, std::int64_t& value, std::string help);
  OptionInfo& add(std::string name, std::uint64_t& value, std::string help);
  OptionInfo& add(std::string name, double& value, std::string help);
  // One of several words.
  OptionInfo& add(std::string name, std::string& value, std::vector<std::string> choices,
                  std::string help);

  template <class E>
  using Names = std::vector<std::pair<const char*, E>>;

  template <class E>
  OptionInfo& add(std::string name, E& value, const Names<E>& names, std::string help) {
    std::vector<std::pair<std::string, E>> table(names.begin(), names.end());
    std::vector<std::string> choices;
    for (const auto& [text, unused] : table) choices.push_back(text);
    return add_choice(
        std::move(name), choices, std::move(help),
        [&value, table](std::size_t i) { value = table[i].second; },
        [&value, table] {
          for (std::size_t i = 0; i < table.size(); ++i)
            if (table[i].second == value) return i;
          return table.size();
        });
  }

  // `key` is section.name or name. Throws Error(usage), with "did you mean", for an unknown key or
  // an unfit value; `where` (file, flag …) begins the message.
  void set(const std::string& key, const std::string& text, const std::string& where);

  // All keys of a TOML document, [section] name = value. `where` names it in errors.
  void load_toml(const std::string& text, const std::string& where);

  std::string to_toml() const;  // resolved values, by section
  const std::vector<OptionInfo>& all() const { return options_; }

 private:
  OptionInfo& add_choice(std::string name, std::vector<std::string> choices, std::string help,
                         std::function<void(std::size_t)> choose,
                         std::function<std::size_t()> chosen);
  OptionInfo& add_info(OptionInfo info);
  OptionInfo& find(const std::string& key, const std::string& where);

  std::string section_, former_section_;
  std::vector<OptionInfo> options_;
};

// The entry of `candidates` most like `word`, or "" when none is near: for "did you mean".
std::string nearest_word(const std::string& word, const std::vector<std::string>& candidates);

}  // namespace sgmae
