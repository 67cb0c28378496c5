#include "sgmae/io/json_reader.h"

#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include "sgmae/base/error.h"

namespace sgmae {
namespace {

// Characters that stand for themselves inside a text.
constexpr std::array<bool, 256> plain = [] {
  std::array<bool, 256> is{};
  for (std::size_t c = 0x20; c < 0x80; ++c) is[c] = c != '"' && c != '\\';
  return is;
}();

constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";

const char* name_of(JsonReader::Kind kind) {
  constexpr std::array names{"an object", "a list", "a text", "a number", "true or false", "null"};
  return names[static_cast<std::size_t>(kind)];
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

}  // namespace

JsonReader::JsonReader(std::string_view text, std::string_view name, std::size_t position)
    : text_(text), name_(name), at_(position) {
  if (position == 0 && text.starts_with(byte_order_mark)) at_ = byte_order_mark.size();
}

void JsonReader::damaged(std::string_view expected) const {
  if (at_ >= text_.size())
    fail(ExitCode::data, name_, " is damaged: it ends after ", text_.size(), " bytes, expected ",
         expected);
  fail(ExitCode::data, name_, " is damaged at byte ", at_, ": expected ", expected);
}

JsonReader::Kind JsonReader::kind() {
  blanks();
  if (at_ >= text_.size()) damaged("a value");
  switch (text_[at_]) {
    case '{':
      return Kind::object;
    case '[':
      return Kind::array;
    case '"':
      return Kind::text;
    case 't':
    case 'f':
      return Kind::boolean;
    case 'n':
      return Kind::null;
    case 'N':
    case 'I':
    case '-':
      return Kind::number;
    default:
      if (!is_digit(text_[at_])) damaged("a value");
      return Kind::number;
  }
}

std::size_t JsonReader::position() {
  blanks();
  return at_;
}

void JsonReader::expect(Kind wanted) {
  const Kind found = kind();
  if (found != wanted)
    fail(ExitCode::data, name_, ", byte ", at_, ": expected ", name_of(wanted), ", found ",
         name_of(found));
}

void JsonReader::colon() {
  blanks();
  if (!next_is(':')) damaged("a colon");
  ++at_;
}

bool JsonReader::closed(char bracket) {
  blanks();
  const bool is_closed = next_is(bracket);
  at_ += is_closed;
  return is_closed;
}

bool JsonReader::ended(char bracket) {
  if (closed(bracket)) return true;
  if (!next_is(',')) damaged(bracket == ']' ? "a comma or ]" : "a comma or }");
  ++at_;
  return false;
}

void JsonReader::literal(std::string_view word) {
  if (text_.substr(at_, word.size()) != word) damaged(word);
  at_ += word.size();
}

std::string_view JsonReader::text() {
  expect(Kind::text);
  const std::size_t begin = ++at_;
  const auto to_end_of_plain = [&] {
    while (at_ < text_.size() && plain[static_cast<unsigned char>(text_[at_])]) ++at_;
  };
  bool as_written = true;
  for (to_end_of_plain(); !next_is('"'); to_end_of_plain()) {
    if (at_ >= text_.size()) damaged("a closing quote");
    const std::size_t special = at_;
    if (text_[special] == '\\') {
      if (as_written) unescaped_.assign(text_, begin, special - begin);
      as_written = false;
      escape();
    } else {
      utf8();
      if (!as_written) unescaped_.append(text_, special, at_ - special);
    }
    const std::size_t next = at_;
    to_end_of_plain();
    if (!as_written) unescaped_.append(text_, next, at_ - next);
  }
  return as_written ? text_.substr(begin, at_++ - begin) : (++at_, std::string_view(unescaped_));
}

void JsonReader::escape() {
  constexpr std::string_view letters = "\"\\/bfnrt", meanings = "\"\\/\b\f\n\r\t";
  ++at_;
  if (next_is('u')) return unicode_escape();
  const std::size_t which = at_ < text_.size() ? letters.find(text_[at_]) : std::string_view::npos;
  if (which == std::string_view::npos) damaged("one of \"\\/bfnrtu behind a backslash");
  unescaped_ += meanings[which];
  ++at_;
}

std::uint32_t JsonReader::hex4() {
  ++at_;  // the u
  std::uint32_t value = 0;
  const std::string_view four = text_.substr(std::min(at_, text_.size()), 4);
  const auto [end, error] = std::from_chars(four.data(), four.data() + four.size(), value, 16);
  if (error != std::errc() || end != four.data() + 4) damaged("four hexadecimal digits");
  at_ += 4;
  return value;
}

void JsonReader::unicode_escape() {
  std::uint32_t code = hex4();
  if (code >= 0xd800 && code < 0xdc00) {
    literal("\\");
    if (!next_is('u')) damaged("the second half of a character");
    const std::uint32_t second = hex4();
    if (second < 0xdc00 || second >= 0xe000) damaged("the second half of a character");
    code = 0x10000 + ((code - 0xd800) << 10) + (second - 0xdc00);
  } else if (code >= 0xdc00 && code < 0xe000) {
    damaged("the first half of a character before its second");
  }
  const auto add = [&](std::uint32_t byte) { unescaped_ += static_cast<char>(byte); };
  if (code < 0x80) {
    add(code);
    return;
  }
  if (code < 0x800) {
    add(0xc0 | code >> 6);
  } else {
    if (code < 0x10000) {
      add(0xe0 | code >> 12);
    } else {
      add(0xf0 | code >> 18);
      add(0x80 | (code >> 12 & 0x3f));
    }
    add(0x80 | (code >> 6 & 0x3f));
  }
  add(0x80 | (code & 0x3f));
}

// One character of several bytes (RFC 3629: no surrogates, nothing longer than need be).
void JsonReader::utf8() {
  const auto byte = [&](std::size_t i) {
    return at_ + i < text_.size() ? static_cast<unsigned char>(text_[at_ + i]) : 0u;
  };
  const unsigned first = byte(0);
  const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  bool good = first >= 0xc2 && first <= 0xf4;
  for (std::size_t i = 1; i < length; ++i) good = good && (byte(i) & 0xc0) == 0x80;
  const unsigned second = byte(1);
  if (first == 0xe0) good = good && second >= 0xa0;
  if (first == 0xed) good = good && second < 0xa0;
  if (first == 0xf0) good = good && second >= 0x90;
  if (first == 0xf4) good = good && second < 0x90;
  if (!good) damaged("UTF-8 without control characters");
  at_ += length;
}

void JsonReader::digits() {
  if (at_ >= text_.size() || !is_digit(text_[at_])) damaged("a digit");
  while (at_ < text_.size() && is_digit(text_[at_])) ++at_;
}

std::string_view JsonReader::number_text() {
  expect(Kind::number);
  const std::size_t begin = at_;
  if (next_is('N')) {
    literal("NaN");
  } else {
    if (next_is('-')) ++at_;
    if (next_is('I')) {
      literal("Infinity");
      return text_.substr(begin, at_ - begin);
    }
    if (next_is('0'))
      ++at_;
    else
      digits();
    if (next_is('.')) {
      ++at_;
      digits();
    }
    if (next_is('e') || next_is('E')) {
      ++at_;
      if (next_is('+') || next_is('-')) ++at_;
      digits();
    }
  }
  return text_.substr(begin, at_ - begin);
}

double JsonReader::number() {
  const std::string_view text = number_text();
  double value = 0;
  if (text == "NaN") return std::numeric_limits<double>::quiet_NaN();
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  if (result.ec != std::errc::result_out_of_range) return value;
  // Too large or too small: strtod tells them apart.
  return std::strtod(std::string(text).c_str(), nullptr);
}

bool JsonReader::boolean() {
  expect(Kind::boolean);
  const bool value = next_is('t');
  literal(value ? "true" : "false");
  return value;
}

void JsonReader::skip() {
  open_.clear();
  while (true) {
    switch (kind()) {
      case Kind::object:
      case Kind::array: {
        const char close = text_[at_++] == '{' ? '}' : ']';
        if (!closed(close)) {
          open_ += close;
          if (close == '}') {
            text();
            colon();
          }
          continue;
        }
        break;
      }
      case Kind::text:
        text();
        break;
      case Kind::number:
        number_text();
        break;
      case Kind::boolean:
        boolean();
        break;
      case Kind::null:
        literal("null");
        break;
    }
    while (!open_.empty() && ended(open_.back())) open_.pop_back();
    if (open_.empty()) return;
    if (open_.back() == '}') {
      text();
      colon();
    }
  }
}

void JsonReader::finish() {
  blanks();
  if (at_ < text_.size()) damaged("nothing more");
}

std::optional<std::int64_t> whole_number(std::string_view text) {
  std::int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto whole = std::from_chars(text.data(), end, value);
  if (whole.ec == std::errc() && whole.ptr == end) return value;
  double number = 0;
  const auto real = std::from_chars(text.data(), end, number);
  if (real.ec != std::errc() || real.ptr != end) return {};
  constexpr double beyond = 9007199254740992;  // 2^53: not every whole number is a double there
  if (!(std::abs(number) <= beyond) || number != std::floor(number)) return {};
  return static_cast<std::int64_t>(number);
}

}  // namespace sgmae
