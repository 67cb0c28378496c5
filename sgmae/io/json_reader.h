// JSON read value by value as it lies in memory, without a tree of it: for documents of hundreds of
// megabytes of which little is kept. As strict as nlohmann's parser (base/json.h), except that it
// takes NaN, Infinity and -Infinity, which Python writes, for numbers.
//
//   JsonReader json(text, "a.json");
//   json.object([&](std::string_view key) {
//     if (key == "sizes") json.array([&] { sizes.push_back(json.number()); });
//     else json.skip();
//   });
//   json.finish();
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sgmae {

class JsonReader {
 public:
  // `text` and `name`, by which messages call the document, must outlive the reader; `position` is
  // where a value begins. Everything throws Error(data), "NAME is damaged at byte …", where the
  // text is no JSON; and "… expected a list, found a number" where a value is of another type.
  JsonReader(std::string_view text, std::string_view name, std::size_t position = 0);

  enum class Kind { object, array, text, number, boolean, null };
  Kind kind();             // of the value at hand
  std::size_t position();  // where that begins

  // Calls see(key) for each member, which must read its value. The key is valid until another text
  // is read.
  template <class See>
  void object(const See& see) {
    expect(Kind::object);
    ++at_;
    if (closed('}')) return;
    do {
      blanks();
      if (at_ >= text_.size() || text_[at_] != '"') damaged("a name in quotes");
      const std::string_view key = text();
      colon();
      see(key);
    } while (!ended('}'));
  }
  // Calls see() for each element, which must read it.
  template <class See>
  void array(const See& see) {
    expect(Kind::array);
    ++at_;
    if (closed(']')) return;
    do see();
    while (!ended(']'));
  }

  std::string_view text();         // valid until another text is read
  double number();                 // beyond double's range: infinite
  std::string_view number_text();  // as it is written
  bool boolean();
  void skip();    // any value
  void finish();  // after the document's value: nothing but blanks may follow

 private:
  void blanks() {
    while (at_ < text_.size() &&
           (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\r' || text_[at_] == '\t'))
      ++at_;
  }
  bool next_is(char wanted) { return at_ < text_.size() && text_[at_] == wanted; }
  void expect(Kind wanted);
  void colon();
  bool closed(char bracket);  // of an empty object or list
  bool ended(char bracket);   // after a value: true at the bracket, false behind a comma
  void literal(std::string_view word);
  void digits();
  void escape();
  void unicode_escape();
  void utf8();
  std::uint32_t hex4();
  [[noreturn]] void damaged(std::string_view expected) const;

  std::string_view text_, name_;
  std::size_t at_ = 0;
  std::string unescaped_, open_;  // open_: brackets inside skip()
};

// A whole number that text spells, "7", "7.0" or "7e0"; nothing for fractions and what 64 bits do
// not hold.
std::optional<std::int64_t> whole_number(std::string_view text);

}  // namespace sgmae
