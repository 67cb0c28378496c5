#include "sgmae/study/study_data.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "sgmae/base/error.h"
#include "sgmae/data/normalisation_file.h"

namespace sgmae {
namespace {

// As Options::set() takes it.
std::string value_of(const OptionInfo& option) {
  const auto value = nlohmann::json::parse(option.print());
  return value.is_string() ? value.get<std::string>() : value.dump();
}

// The option of a training that says the same of its images; null where there is none, or where it
// only says how fast they are read.
const OptionInfo* same_of(const Options& training, const OptionInfo& option) {
  if (option.name == "num_workers") return nullptr;
  const auto found =
      std::find_if(training.all().begin(), training.all().end(), [&](const OptionInfo& other) {
        return other.section == option.section && other.name == option.name;
      });
  return found == training.all().end() ? nullptr : &*found;
}

// What of a variant need not be as it is in the others: all but the way in which images are read.
bool may_vary(const OptionInfo& option) {
  return option.section != "data" || option.changeable || option.name == "normalisation";
}

}  // namespace

void share_data(StudyFile& study, const std::string& recipe_text, LabelledData& data) {
  LabelledData untouched;
  PretrainOptions any;
  const Options tests = declared(data), defaults = declared(untouched), trainings = declared(any);
  for (std::size_t i = 0; i < tests.all().size(); ++i) {
    const OptionInfo& option = tests.all()[i];
    if (same_of(trainings, option) && option.print() != defaults.all()[i].print())
      study.options.emplace_back(option.name, value_of(option));
  }
  PretrainOptions shared = cell_options(study, {}, 0, recipe_text);
  const Options by_study = declared(shared);
  for (const OptionInfo& option : tests.all())
    if (const OptionInfo* const same = same_of(by_study, option)) option.assign(value_of(*same));
  if (!shared.normalisation.empty()) data = data.read_as(read_normalisation(shared.normalisation));
  for (const StudyVariant& variant : study.variants) {
    PretrainOptions own = cell_options(study, variant, 0, recipe_text);
    const std::string other = options_difference(declared(own), by_study, may_vary);
    check(other.empty(), ExitCode::usage, study.where, ": ", variant.name,
          " reads images in another way than the tests: ", other, "; set it in [options] instead");
  }
}

}  // namespace sgmae
