// Reading JSON that somebody else wrote: its members may be absent, or of any type. And numbers
// that are not finite, which JSON does not have: what we write keeps them as "nan", "inf" and
// "-inf".
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

namespace sgmae {

// A member, or null where there is none or `object` is none.
template <class Json>
const Json& json_member(const Json& object, const char* key) {
  static const Json none;
  const auto found = object.find(key);  // end() for what is no object
  return found == object.end() ? none : *found;
}

// A value as bool, std::string, std::int64_t or double; nothing where it is of another type. The
// library's own get<> casts between numbers, which is undefined for a fraction beyond 64 bits.
template <class T, class Json>
std::optional<T> json_value(const Json& value) {
  static_assert(std::is_same_v<T, bool> || std::is_same_v<T, std::string> ||
                std::is_same_v<T, std::int64_t> || std::is_same_v<T, double>);
  const bool fits = std::is_same_v<T, bool>           ? value.is_boolean()
                    : std::is_same_v<T, std::string>  ? value.is_string()
                    : std::is_same_v<T, std::int64_t> ? value.is_number_integer()
                                                      : value.is_number();
  if (!fits) return std::nullopt;
  return value.template get<T>();
}

template <class T, class Json>
std::optional<T> json_value(const Json& object, const char* key) {
  return json_value<T>(json_member(object, key));
}

// The text of `value`, in which numbers that are not finite survive; dump() would write null.
template <class Json>
std::string json_text(Json value) {
  const auto spell = [](const auto& self, Json& part) -> void {
    if (part.is_structured()) {
      for (Json& member : part) self(self, member);
    } else if (part.is_number_float()) {
      const double number = part.template get<double>();
      if (std::isnan(number)) part = "nan";
      if (std::isinf(number)) part = number > 0 ? "inf" : "-inf";
    }
  };
  spell(spell, value);
  return value.dump();
}

// A number as json_text writes it. null, which older versions wrote, is NaN. Throws
// nlohmann::json::exception for what is no number.
template <class Json>
double json_number(const Json& value) {
  if (value.is_null() || value == "nan") return std::numeric_limits<double>::quiet_NaN();
  if (value == "inf") return std::numeric_limits<double>::infinity();
  if (value == "-inf") return -std::numeric_limits<double>::infinity();
  return value.template get<double>();
}

template <class Json>
std::vector<double> json_numbers(const Json& array) {
  std::vector<double> numbers;
  for (const Json& value : array.template get_ref<const typename Json::array_t&>())
    numbers.push_back(json_number(value));
  return numbers;
}

}  // namespace sgmae
