// Reading JSON that somebody else wrote: its members may be absent, or of any type.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <type_traits>

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

}  // namespace sgmae
