#include "sgmae/io/npy_header.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <string_view>

#include "sgmae/base/error.h"

namespace sgmae {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::size_t kAlignment = 64;  // of the data, as NumPy has it

// Takes a Python literal apart: {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }
class Literal {
 public:
  Literal(std::string_view text, const std::string& where) : text_(text), where_(where) {}

  [[noreturn]] void refuse(const std::string& why) const {
    fail(ExitCode::data, where_, " is not a valid .npy file: ", why);
  }
  void skip_blanks() {
    while (text_.starts_with(' ')) text_.remove_prefix(1);
  }
  bool skip(char c) {  // past blanks and then `c`, if it is there
    skip_blanks();
    if (!text_.starts_with(c)) return false;
    text_.remove_prefix(1);
    return true;
  }
  void expect(char c) {
    if (!skip(c)) refuse("its header is malformed");
  }
  std::string quoted() {
    expect('\'');
    const std::size_t end = text_.find('\'');
    if (end == std::string_view::npos) refuse("its header is malformed");
    const std::string word(text_.substr(0, end));
    text_.remove_prefix(end + 1);
    return word;
  }
  bool truth() {
    skip_blanks();
    for (const bool value : {false, true}) {
      const std::string_view word = value ? "True" : "False";
      if (!text_.starts_with(word)) continue;
      text_.remove_prefix(word.size());
      return value;
    }
    refuse("its header is malformed");
  }
  std::vector<std::int64_t> whole_numbers() {
    std::vector<std::int64_t> numbers;
    expect('(');
    while (!skip(')')) {
      std::int64_t number = 0;
      skip_blanks();
      const auto [end, error] = std::from_chars(text_.data(), text_.data() + text_.size(), number);
      if (error != std::errc() || number < 0)
        refuse("its shape has entries that are not whole numbers");
      text_.remove_prefix(static_cast<std::size_t>(end - text_.data()));
      numbers.push_back(number);
      if (skip(',')) continue;
      expect(')');
      break;
    }
    return numbers;
  }

 private:
  std::string_view text_;
  const std::string& where_;
};

}  // namespace

NpyHeader parse_npy_header(std::span<const std::uint8_t> file, const std::string& where) {
  const std::string_view bytes(reinterpret_cast<const char*>(file.data()), file.size());
  const auto refuse = [&](const std::string& why) { Literal("", where).refuse(why); };
  if (!bytes.starts_with(kMagic)) refuse("it does not start with the magic bytes of one");
  if (bytes.size() < 12) refuse("it is cut off");
  const int version = file[6];
  if (version < 1 || version > 3) refuse("its version is not 1 to 3");
  const std::size_t length_bytes = version == 1 ? 2 : 4;
  std::uint32_t header_bytes = 0;
  std::memcpy(&header_bytes, file.data() + 8, length_bytes);
  if (header_bytes > file.size() - 8 - length_bytes) refuse("its header is longer than the file");

  NpyHeader header;
  header.data = file.subspan(8 + length_bytes + header_bytes);
  Literal literal(bytes.substr(8 + length_bytes, header_bytes), where);
  bool has_type = false, has_order = false, has_shape = false;
  literal.expect('{');
  while (!literal.skip('}')) {
    const std::string key = literal.quoted();
    literal.expect(':');
    if (key == "descr") {
      if (literal.skip('[')) refuse("it holds records; save their fields one by one");
      const std::string name = literal.quoted();
      const auto type = find_dtype(&DTypeInfo::numpy, name);
      if (!type)
        refuse("its type '" + name +
               "' is not read here; save little-endian numbers, e.g. array.astype('<f4')");
      header.type = *type;
      has_type = true;
    } else if (key == "fortran_order") {
      header.column_major = literal.truth();
      has_order = true;
    } else if (key == "shape") {
      header.shape = literal.whole_numbers();
      has_shape = true;
    } else {
      refuse("its header is malformed");
    }
    literal.skip(',');
  }
  if (!has_type || !has_order || !has_shape) refuse("its header is incomplete");

  const auto expected = tensor_bytes(info(header.type).bytes, header.shape, header.data.size());
  if (!expected) refuse("its shape is larger than the file");
  if (*expected != header.data.size()) refuse("its shape does not match its bytes");
  const auto truth = [](std::uint8_t byte) { return byte <= 1; };
  if (header.type == DType::boolean && !std::all_of(header.data.begin(), header.data.end(), truth))
    refuse("it has booleans other than 0 and 1");
  return header;
}

std::string npy_header(DType type, std::span<const std::int64_t> shape) {
  SGMAE_ASSERT(*info(type).numpy);
  std::string sizes;
  for (const std::int64_t size : shape) sizes += str(size, ", ");
  if (shape.size() > 1) sizes.resize(sizes.size() - 2);  // one size keeps its comma: (5,)
  if (shape.size() == 1) sizes.resize(sizes.size() - 1);
  std::string text =
      str("{'descr': '", info(type).numpy, "', 'fortran_order': False, 'shape': (", sizes, "), }");
  const std::size_t before = kMagic.size() + 4;
  text.resize((before + text.size() + kAlignment) / kAlignment * kAlignment - before - 1, ' ');
  text += '\n';
  std::string out(kMagic);
  out += std::string("\1\0", 2);
  out += static_cast<char>(text.size() & 0xFF);
  out += static_cast<char>(text.size() >> 8);
  return out + text;
}

}  // namespace sgmae
