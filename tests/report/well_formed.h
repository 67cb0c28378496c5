// A small judge of XML: the tests' oracle for "every tag is closed, every value quoted, every
// special character escaped".
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>

#include <string>
#include <string_view>
#include <vector>

namespace sgmae {

// What is wrong with `text`, and where; "" when nothing is. The inside of <style> is CSS.
inline std::string not_well_formed(std::string_view text) {
  const auto near = [&](std::size_t at) { return " near: " + std::string(text.substr(at, 60)); };
  const auto references_fine = [](std::string_view plain) {
    for (std::size_t at = plain.find('&'); at != plain.npos; at = plain.find('&', at + 1)) {
      bool known = false;
      for (const std::string_view entity : {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"})
        known = known || plain.substr(at).starts_with(entity);
      if (!known) return false;
    }
    return plain.find('>') == plain.npos;
  };
  std::vector<std::string> open;
  std::size_t at = 0;
  if (text.starts_with("<!DOCTYPE html>")) at = 15;
  while (at < text.size()) {
    const std::size_t tag = std::min(text.find('<', at), text.size());
    const bool css = !open.empty() && open.back() == "style";
    if (!css && !references_fine(text.substr(at, tag - at))) return "bad text" + near(at);
    if (tag == text.size()) break;
    std::size_t end = tag + 1;  // the > that is not inside quotes
    for (bool quoted = false; end < text.size() && (quoted || text[end] != '>'); ++end) {
      if (text[end] == '"') quoted = !quoted;
      if (text[end] == '<') return "a < inside a tag" + near(tag);
    }
    if (end == text.size()) return "a tag without end" + near(tag);
    std::string inside(text.substr(tag + 1, end - tag - 1));
    at = end + 1;
    if (inside.starts_with("/")) {
      if (open.empty() || open.back() != inside.substr(1)) return "closes another tag" + near(tag);
      open.pop_back();
      continue;
    }
    const bool closed = inside.ends_with("/");
    if (closed) inside.pop_back();
    std::size_t name = 0;
    while (name < inside.size() && std::isalnum(static_cast<unsigned char>(inside[name]))) ++name;
    if (name == 0) return "a tag without name" + near(tag);
    std::string_view rest = std::string_view(inside).substr(name);
    while (!rest.empty()) {  // attributes: space name="value"
      const std::size_t equals = rest.find("=\"");
      if (rest[0] != ' ' || equals == rest.npos) return "bad attribute" + near(tag);
      for (const char c : rest.substr(1, equals - 1))
        if (!std::isalnum(static_cast<unsigned char>(c)) && c != '-' && c != ':')
          return "bad attribute name" + near(tag);
      const std::size_t close = rest.find('"', equals + 2);
      if (close == rest.npos) return "bad attribute" + near(tag);
      if (!references_fine(rest.substr(equals + 2, close - equals - 2)))
        return "bad attribute value" + near(tag);
      rest.remove_prefix(close + 1);
    }
    if (!closed) open.push_back(inside.substr(0, name));
  }
  return open.empty() ? "" : "not closed: " + open.back();
}

inline void expect_well_formed(const std::string& text) {
  EXPECT_EQ(not_well_formed(text), "");
}

inline std::size_t count_of(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != text.npos; at = text.find(part, at + part.size()))
    ++count;
  return count;
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != text.npos;
}

}  // namespace sgmae
