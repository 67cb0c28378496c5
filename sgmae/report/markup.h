// Text that is safe inside HTML and SVG, well-formed by construction.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sgmae {

// `text` with & < > " ' as entities. Bytes that are not UTF-8 and characters that XML does not
// allow become U+FFFD.
std::string escape(std::string_view text);

using Attributes = std::initializer_list<std::pair<std::string_view, std::string_view>>;

// <name attributes>inner</name>, or <name attributes/> when `inner` is empty and the element has no
// content in HTML (img, br, meta …, and SVG's shapes). Attribute values are escaped, `inner` is
// markup already.
std::string element(std::string_view name, Attributes attributes, std::string_view inner = "");

// An element whose content is plain text, escaped here.
std::string text_element(std::string_view name, std::string_view text, Attributes attributes = {});

std::string base64(std::span<const std::uint8_t> bytes);

// A path as part of a URL: all but letters, digits and - . _ ~ / as %XX.
std::string url_path(std::string_view path);

// Those that are not empty, with `between` between them.
std::string joined(const std::vector<std::string>& parts, std::string_view between);

// A number as people read it: `digits` significant ones, no trailing zeros, "–" for NaN.
std::string readable(double value, int digits = 4);

}  // namespace sgmae
