#include "sgmae/study/study_file.h"

#include <algorithm>
#include <set>
#include <sstream>
#include <stdexcept>

#include "sgmae/base/error.h"
#include "sgmae/base/toml.h"

namespace sgmae {
namespace {

[[noreturn]] void refuse(const std::string& where, const toml::node& node,
                         const std::string& message) {
  fail(ExitCode::usage, where, ":", node.source().begin.line, ": ", message);
}

std::string text_of(const toml::node& node, const std::string& where) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* flag = node.as_boolean()) return flag->get() ? "true" : "false";
  if (const auto* number = node.as_integer()) return std::to_string(number->get());
  if (const auto* number = node.as_floating_point()) {
    std::ostringstream out;
    out.precision(17);
    out << number->get();
    return out.str();
  }
  refuse(where, node, "expected text, a number, true or false");
}

std::vector<std::int64_t> integers_of(const toml::node& node, const std::string& where) {
  const toml::array* array = node.as_array();
  if (!array) refuse(where, node, "expected a list of whole numbers, e.g. [0, 1, 2]");
  std::vector<std::int64_t> numbers;
  for (const toml::node& entry : *array) {
    const auto* number = entry.as_integer();
    if (!number || number->get() < 0) refuse(where, entry, "expected a whole number, 0 or more");
    numbers.push_back(number->get());
  }
  return numbers;
}

OptionTexts options_of(const toml::table& table, const std::string& where) {
  OptionTexts options;
  for (const auto& [key, value] : table)
    if (key.str() != "name") options.emplace_back(key.str(), text_of(value, where));
  return options;
}

void read_study_table(const toml::table& table, StudyFile& study) {
  for (const auto& [key, value] : table) {
    const std::string name(key.str());
    if (name == "title") {
      study.title = text_of(value, study.where);
    } else if (name == "recipe") {
      study.recipe = text_of(value, study.where);
    } else if (name == "output_dir") {
      study.output_dir = text_of(value, study.where);
    } else if (name == "reference") {
      study.reference = text_of(value, study.where);
    } else if (name == "seeds") {
      for (const std::int64_t seed : integers_of(value, study.where))
        study.seeds.push_back(static_cast<std::uint64_t>(seed));
    } else if (name == "evaluate_epochs") {
      study.evaluate_epochs = integers_of(value, study.where);
    } else {
      const std::string nearest = nearest_word(
          name, {"title", "recipe", "output_dir", "reference", "seeds", "evaluate_epochs"});
      refuse(study.where, value,
             str("unknown key '", name, "' in [study]",
                 nearest.empty() ? "" : "; did you mean '" + nearest + "'?"));
    }
  }
}

void read_variants(const toml::node& node, StudyFile& study) {
  const toml::array* array = node.as_array();
  if (!array || !array->is_array_of_tables())
    refuse(study.where, node, "write each variant as [[variant]] with a name");
  for (const toml::node& entry : *array) {
    const toml::table& table = *entry.as_table();
    const auto* name = table["name"].as_string();
    if (!name || name->get().empty()) refuse(study.where, entry, "this [[variant]] has no name");
    // The name becomes a folder's.
    if (name->get().find_first_of("/ ") != std::string::npos || name->get().front() == '.')
      refuse(study.where, entry,
             "a variant's name must not contain '/' or spaces, or begin with a dot");
    study.variants.push_back({name->get(), options_of(table, study.where)});
  }
}

void check_study(const StudyFile& study) {
  const auto need = [&](bool fits, const std::string& message) {
    check(fits, ExitCode::usage, study.where, ": ", message);
  };
  need(!study.recipe.empty(), "[study] has no recipe; write e.g. recipe = \"caltech101_64_mae\"");
  need(!study.output_dir.empty(), "[study] has no output_dir");
  need(!study.seeds.empty(), "[study] has no seeds; write e.g. seeds = [0, 1, 2]");
  need(!study.variants.empty(), "there is no [[variant]]");
  need(std::set(study.seeds.begin(), study.seeds.end()).size() == study.seeds.size(),
       "seeds contains a number twice");
  std::set<std::string> names;
  for (const StudyVariant& variant : study.variants)
    need(names.insert(variant.name).second, "two variants are called '" + variant.name + "'");
  need(names.count(study.reference) > 0,
       "reference = '" + study.reference + "' is not the name of a variant");
  for (const auto& [name, text] : study.options)
    need(name != "seed" && name != "output_dir",
         "[options] sets " + name + "; seeds and output_dir belong in [study]");
}

}  // namespace

StudyFile parse_study(const std::string& text, const std::string& where) {
  StudyFile study;
  study.where = where;
  const toml::table document = parse_toml(text, where);
  for (const auto& [key, value] : document) {
    const toml::table* table = value.as_table();
    if (key.str() == "study" && table) {
      read_study_table(*table, study);
    } else if (key.str() == "options" && table) {
      study.options = options_of(*table, where);
    } else if (key.str() == "finetune" && table) {
      study.finetune = options_of(*table, where);
    } else if (key.str() == "variant") {
      read_variants(value, study);
    } else {
      refuse(where, value,
             str("'", key.str(), "' is not one of [study], [options], [finetune] and [[variant]]"));
    }
  }
  check_study(study);
  std::sort(study.evaluate_epochs.begin(), study.evaluate_epochs.end());
  return study;
}

PretrainOptions cell_options(const StudyFile& study, const StudyVariant& variant,
                             std::uint64_t seed, const std::string& recipe_text) {
  PretrainOptions options;
  Options declared;
  options.declare(declared);
  declared.load_toml(recipe_text, study.recipe);
  for (const auto& [name, value] : study.options)
    declared.set(name, value, study.where + ", [options]");
  for (const auto& [name, value] : variant.options)
    declared.set(name, value, study.where + ", variant " + variant.name);
  options.seed = seed;
  options.output_dir = study.output_dir + "/cells/" + variant.name + "-s" + std::to_string(seed);
  return settled(options);
}

FinetuneOptions finetune_options(const StudyFile& study, const ComputeOptions& compute) {
  FinetuneOptions options;
  static_cast<ComputeOptions&>(options) = compute;
  Options declared;
  options.declare(declared);
  if (study.finetune)
    for (const auto& [name, value] : *study.finetune)
      declared.set(name, value, study.where + ", [finetune]");
  return options;
}

}  // namespace sgmae
