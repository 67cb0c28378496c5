#include "sgmae/data/split.h"

#include <algorithm>
#include <cctype>
#include <system_error>

#include "sgmae/base/error.h"
#include "sgmae/data/file_type.h"
#include "sgmae/data/files.h"

namespace sgmae {

namespace fs = std::filesystem;

namespace {

// COCO's train2017 and the like.
std::string without_year(std::string name) {
  constexpr std::size_t digits = 4;
  const std::size_t end = name.find_last_not_of("0123456789") + 1;  // npos + 1 is 0
  if (name.size() - end != digits || end == 0) return name;
  name.erase(end);
  name.erase(name.find_last_not_of("_-") + 1);
  return name;
}

}  // namespace

std::vector<std::string> names_of_split(const std::string& split) {
  if (split == "train") return {"train", "training", "trainval"};
  if (split == "val") return {"val", "valid", "validation", "test", "testing"};
  if (split == "test") return {"test", "testing", "val", "valid", "validation"};
  fail(ExitCode::usage, "there is no data split '", split, "'; use train, val or test");
}

bool says(std::string_view name, std::string_view word) {
  const std::string lower = lower_case(name);
  const auto letter = [&](std::size_t i) {
    return i < lower.size() && std::isalpha(static_cast<unsigned char>(lower[i]));
  };
  for (std::size_t at = 0; (at = lower.find(word, at)) != std::string::npos; ++at)
    if ((at == 0 || !letter(at - 1)) && !letter(at + word.size())) return true;
  return false;
}

std::optional<std::string> named_as_split(const std::vector<std::string>& names,
                                          const std::string& split) {
  for (const std::string& word : names_of_split(split)) {
    if (std::find(names.begin(), names.end(), word) != names.end()) return word;
    for (const std::string& name : names)
      if (lower_case(name) == word) return name;
    for (const std::string& name : names)
      if (without_year(lower_case(name)) == word) return name;
  }
  return std::nullopt;
}

std::optional<fs::path> file_of_split(const fs::path& folder, const std::string& split,
                                      std::string_view ending) {
  const auto upper = [](char c) {
    return static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  };
  for (const std::string& word : names_of_split(split)) {
    // Asked for one by one: the folder may hold a million files.
    std::string capital = word, capitals = word;
    capital[0] = upper(capital[0]);
    std::transform(capitals.begin(), capitals.end(), capitals.begin(), upper);
    for (const std::string& name : {word, capital, capitals})
      if (fs::path file = folder / (name + std::string(ending)); is_file(file)) return file;
  }
  return std::nullopt;
}

bool holds_image(const fs::path& folder) {
  // Unsorted, and no further than the first one: there may be a million.
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (name.front() != '.' && has_image_extension(name)) return true;
  }
  return false;
}

bool holds_image_below(const fs::path& folder) {
  if (holds_image(folder)) return true;
  for (const auto& [name, is_a_folder] : list_folder(folder))
    if (is_a_folder && holds_image(folder / name)) return true;
  return false;
}

Parts::Parts(const fs::path& folder) : folder_(folder) {
  for (auto& [name, is_a_folder] : list_folder(folder))
    if (is_a_folder) folders_.push_back(name);
  const auto training = named_as_split(folders_, "train");
  const auto evaluation = named_as_split(folders_, "val");
  if (!training && !evaluation)
    for (const std::string& name : folders_)
      if (lower_case(name) == "images")
        if (Parts inner(folder / name); inner.exist_) {
          *this = std::move(inner);
          return;
        }
  std::vector<std::string> known = names_of_split("train");
  for (const std::string& name : names_of_split("val")) known.push_back(name);
  for (const std::string& name : folders_)
    if (std::find(known.begin(), known.end(), without_year(lower_case(name))) == known.end())
      others_.push_back(name);
  if (training && evaluation) {
    exist_ = true;
  } else if (training) {
    exist_ = !holds_image(folder / *training) ||
             std::none_of(others_.begin(), others_.end(),
                          [&](const std::string& name) { return holds_image(folder / name); });
  } else if (evaluation) {
    exist_ = !others_hold_images() && !holds_image(folder);
  }
  if (!exist_ && (training || evaluation)) class_called_so_ = training ? *training : *evaluation;
}

std::optional<fs::path> Parts::part(const std::string& split) const {
  const auto found = named_as_split(folders_, split);
  return exist_ && found ? std::optional(folder_ / *found) : std::nullopt;
}

std::string Parts::beside(const fs::path& part) const {
  constexpr std::size_t most_named = 8;
  std::string text;
  std::size_t named = 0;
  for (const std::string& name : folders_) {
    if (name == part.filename()) continue;
    if (named++ == most_named) return text + " …";
    text += (text.empty() ? "" : ", ") + name + "/";
  }
  return text;
}

bool Parts::others_hold_images() const {
  return std::any_of(others_.begin(), others_.end(),
                     [&](const std::string& name) { return holds_image_below(folder_ / name); });
}

}  // namespace sgmae
