// Lists of numbers as people write them in an option: "2,5,8".
#pragma once

#include <algorithm>
#include <charconv>
#include <string>
#include <vector>

#include "sgmae/base/error.h"

namespace sgmae {

// Empty for "". Throws Error(usage) for anything else than numbers with commas between them; `what`
// names the list there.
template <class Number>
std::vector<Number> numbers_of(const std::string& list, const char* what) {
  std::vector<Number> numbers;
  for (std::size_t at = 0; at < list.size();) {
    const std::size_t end = std::min(list.find(',', at), list.size());
    Number number{};
    const auto [last, error] = std::from_chars(list.data() + at, list.data() + end, number);
    check(error == std::errc() && last == list.data() + end && end > at, ExitCode::usage, what,
          " is '", list, "'; expected numbers with commas between them");
    numbers.push_back(number);
    at = end + 1;
  }
  return numbers;
}

}  // namespace sgmae
