// Internal to data/: what labels say that people wrote, and classes numbered.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sgmae/data/source.h"

namespace sgmae {

// A number from 0 in decimal digits and nothing else.
std::optional<std::int64_t> as_number(std::string_view text);

// Without blanks, tabs and line ends at its ends.
std::string trimmed(std::string_view text);

// A whole number from -1 as people write labels: 3, 3.0, 3.00e+00, [3], -1. Nothing for any other
// text.
std::optional<std::int64_t> label_number(std::string_view text);

// The label that a JSON value is, as text: "3" for 3, 3.0 and [3]; "true"; "" for null. Nothing for
// what is no single label: a fraction, a list of several, an object.
std::optional<std::string> label_of_json(const nlohmann::json& value);

// The label of each image, and the names of the classes that the labels count.
struct Labels {
  std::vector<std::int64_t> labels;
  std::vector<std::string> class_names;
};

// Classes numbered in the sorted order of their names; an empty word is no label (-1).
Labels number_by_name(const std::vector<std::string>& words);

// The names of classes as somebody listed them; of those that stand twice the later ones with their
// number, "car (7)", so that classes stay apart where they are told by name.
std::vector<std::string> told_apart(std::vector<std::string> class_names);

// Labels that name a folder or the like: all of them numbers, which then stand for themselves, or
// names. Throws Error(data), naming `where`, for a number beyond a million.
Labels number_folders(const std::vector<std::string>& words, const std::string& where);

// Labels that people wrote. "" and -1 are none. Numbers stand for themselves, and true and false
// for 1 and 0, where all labels are such. Where one in ten or fewer is no number, that one is not
// understood: it is counted in `left_out`, and the image has no label. Else all are names, which is
// said where some are numbers. `place(i)` says where the i-th label stands. Throws as above.
Labels number_by_word(const std::vector<std::string>& words, const std::string& where,
                      const std::function<std::string(std::size_t)>& place,
                      std::vector<LeftOut>& left_out);

}  // namespace sgmae
