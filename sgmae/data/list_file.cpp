#include "sgmae/data/list_file.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "sgmae/base/error.h"
#include "sgmae/data/file_type.h"
#include "sgmae/data/labels.h"
#include "sgmae/data/split.h"

namespace sgmae {
namespace {

using Fields = std::vector<std::string>;

// Best first: where several columns have such names, the earlier in these lists counts.
constexpr std::array<const char*, 20> path_columns{
    "path",           "file_path",     "filepath",   "image_path", "img_path",
    "filename",       "file_name",     "image_file", "image_name", "img_name",
    "image_filename", "file",          "image",      "img",        "images",
    "name",           "relative_path", "image_id",   "img_id",     "id"};
constexpr std::array<const char*, 16> label_columns{
    "label",      "labels",   "class",       "target",      "category",  "cls",
    "class_id",   "label_id", "classid",     "category_id", "class_idx", "class_index",
    "class_name", "y",        "class_label", "label_idx"};

constexpr std::array<const char*, 2> part_columns{"split", "subset"};

// The last column is the rest of the line for a blank, which is no separator inside of names.
constexpr char blank = ' ';

bool is_image(std::string_view text) {
  return has_image_extension(text) || has_array_extension(text) || has_unread_image_extension(text);
}

// A line, or a record of lines where a quoted field goes on over line ends.
struct Record {
  std::string text;
  std::int64_t number = 0;  // of its first line
};

// Whether a quote at `at`, outside of quotes, opens some: at the beginning of its field, or doubled
// in one that began so.
bool opens_quote(std::string_view text, std::size_t field, std::size_t at) {
  return at == field || (text[field] == '"' && text[at - 1] == '"');
}

std::vector<Record> records_of(const std::string& text, char separator, const std::string& where) {
  std::vector<Record> records;
  std::int64_t number = 1;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::int64_t first = number;
    std::size_t end = begin;
    std::size_t field = begin;
    bool quoted = false;
    for (; end < text.size(); ++end) {
      const char c = text[end];
      if (quoted) {
        quoted = c != '"';
        number += c == '\n';
      } else if (c == '\n' || c == '\r') {
        break;
      } else if (c == separator) {
        field = end + 1;
      } else if (c == '"' && separator != blank) {
        quoted = opens_quote(text, field, end);
      }
    }
    check(!quoted, ExitCode::data, where, ", line ", first, ": a quote (\") that is never closed");
    std::string line = text.substr(begin, end - begin);
    if (!trimmed(line).empty()) records.push_back({std::move(line), first});
    if (end < text.size()) ++number;
    begin = end + (end + 1 < text.size() && text[end] == '\r' && text[end + 1] == '\n' ? 2 : 1);
  }
  return records;
}

std::string unquoted(std::string_view field) {
  std::string text = trimmed(field);
  if (text.size() < 2 || text.front() != '"' || text.back() != '"') return text;
  std::string inside;
  for (std::size_t i = 1; i + 1 < text.size(); ++i) {
    inside += text[i];
    if (text[i] == '"' && i + 2 < text.size() && text[i + 1] == '"') ++i;
  }
  return inside;
}

Fields split(std::string_view line, char separator) {
  Fields fields;
  bool quoted = false;
  std::size_t begin = 0;
  for (std::size_t i = 0; i <= line.size(); ++i) {
    if (i == line.size() || (!quoted && line[i] == separator)) {
      fields.push_back(unquoted(line.substr(begin, i - begin)));
      begin = i + 1;
    } else if (line[i] == '"') {
      quoted = !quoted && opens_quote(line, begin, i);
    }
  }
  return fields;
}

// "PATH", "PATH LABEL": the label follows the last image extension, for either may hold blanks.
Fields split_at_blank(const std::string& text) {
  const std::string line = trimmed(text);
  if (line.front() == '"')
    if (const std::size_t end = line.find('"', 1); end != std::string::npos)
      return {line.substr(1, end - 1), trimmed(std::string_view(line).substr(end + 1))};
  if (is_image(line)) return {line, ""};
  constexpr const char* blanks = " \t";
  std::size_t last = std::string::npos;
  for (std::size_t at = line.find_last_of(blanks); at != std::string::npos && at > 0;
       at = line.find_last_of(blanks, at - 1)) {
    if (last == std::string::npos) last = at;
    if (!is_image(std::string_view(line).substr(0, at))) continue;
    last = at;
    break;
  }
  if (last == std::string::npos) return {line, ""};
  return {trimmed(std::string_view(line).substr(0, last)),
          trimmed(std::string_view(line).substr(last))};
}

// "Image Path" and "image-path" are image_path.
std::string column_name(std::string_view text) {
  std::string name = lower_case(trimmed(text));
  std::replace_if(
      name.begin(), name.end(), [](char c) { return c == ' ' || c == '-'; }, '_');
  return name;
}

template <std::size_t N>
std::optional<std::size_t> column_among(const Fields& header,
                                        const std::array<const char*, N>& names) {
  for (const char* name : names)
    for (std::size_t i = 0; i < header.size(); ++i)
      if (column_name(header[i]) == name) return i;
  return std::nullopt;
}

// Which columns hold what, and whether the first line says so.
struct Columns {
  bool header = false;
  std::size_t path = 0;
  std::optional<std::size_t> label;
};

std::size_t column_called(const Fields& header, const std::string& key, const std::string& where,
                          const char* option) {
  for (std::size_t i = 0; i < header.size(); ++i)
    if (header[i] == key || column_name(header[i]) == column_name(key)) return i;
  std::string names;
  for (const std::string& name : header) names += (names.empty() ? "" : ", ") + name;
  fail(ExitCode::data, where, " has no column '", key, "', which --", option,
       " names; its columns are ", names);
}

std::optional<Columns> header_in(const Fields& first, const Fields& second,
                                 const std::string& where, const std::string& image_key,
                                 const std::string& label_key) {
  const auto holds_image = [](const Fields& fields) {
    return std::find_if(fields.begin(), fields.end(), is_image);
  };
  const auto is_number = [](const std::string& text) { return label_number(text).has_value(); };
  const auto named = column_among(first, path_columns);
  if (first.empty() || holds_image(first) != first.end() ||
      (!named && std::any_of(first.begin(), first.end(), is_number)))
    return std::nullopt;
  Columns columns{.header = true, .path = 0, .label = {}};
  const auto seen = holds_image(second);
  if (!image_key.empty())
    columns.path = column_called(first, image_key, where, "image_key");
  else if (seen != second.end() && static_cast<std::size_t>(seen - second.begin()) < first.size() &&
           (!named || *named >= second.size() || !is_image(second[*named])))
    columns.path = static_cast<std::size_t>(seen - second.begin());  // of another name
  else if (named)
    columns.path = *named;
  else
    return std::nullopt;
  if (!label_key.empty()) {
    columns.label = column_called(first, label_key, where, "label_key");
  } else {
    columns.label = column_among(first, label_columns);
    if (columns.label == columns.path) columns.label.reset();
    // Of two columns, the one that holds no paths.
    if (!columns.label && first.size() == 2) columns.label = 1 - columns.path;
  }
  return columns;
}

// Whether what the lines say in the column `name` are parts, of which there are several.
void heed_parts(ListFile& list, const std::string& name) {
  std::set<std::string> words, others;
  for (const ListLine& line : list.lines) words.insert(line.part);
  for (const std::string& word : words)
    if (!named_as_split({word}, "train") && !named_as_split({word}, "val")) others.insert(word);
  list.parts = words.size() > 1 && others.empty();
  if (words.size() < others.size() + 2 || others.empty()) return;
  list.remark +=
      str(list.remark.empty() ? "" : "; ", "its column ", name, " names parts, but says '",
          *others.begin(), "' too, so that all lines are read; make a list of each part");
}

// Whether the lines look as if `separator` parts them.
bool parts(const std::vector<Record>& records, char separator) {
  constexpr std::size_t looked_at = 200;
  const std::size_t count = std::min(looked_at, records.size());
  std::size_t fitting = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const Fields fields = split(records[i].text, separator);
    fitting += fields.size() >= 2 && is_image(fields.front());
  }
  if (2 * fitting > count) return true;
  // Paths in another column, or without an extension: a header line tells.
  const Fields first = split(records.front().text, separator);
  if (first.size() < 2 || count < 2) return false;
  const Fields second = split(records[1].text, separator);
  return second.size() == first.size() && header_in(first, second, "", "", "").has_value();
}

void append_utf8(std::string& text, std::uint32_t code) {
  const auto put = [&](std::uint32_t byte) { text += static_cast<char>(byte); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xc0 | code >> 6);
    put(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    put(0xe0 | code >> 12);
    put(0x80 | (code >> 6 & 0x3f));
    put(0x80 | (code & 0x3f));
  } else {
    put(0xf0 | code >> 18);
    put(0x80 | (code >> 12 & 0x3f));
    put(0x80 | (code >> 6 & 0x3f));
    put(0x80 | (code & 0x3f));
  }
}

}  // namespace

std::string as_utf8(std::string bytes, const std::string& where) {
  if (bytes.starts_with("\xef\xbb\xbf")) bytes.erase(0, 3);
  const bool little = bytes.starts_with("\xff\xfe"), big = bytes.starts_with("\xfe\xff");
  if (little || big) {
    const auto unit = [&](std::size_t at) -> std::uint32_t {
      const auto a = static_cast<std::uint8_t>(bytes[at]);
      const auto b = static_cast<std::uint8_t>(bytes[at + 1]);
      return little ? a | b << 8 : a << 8 | b;
    };
    std::string text;
    for (std::size_t at = 2; at + 1 < bytes.size(); at += 2) {
      std::uint32_t code = unit(at);
      if (code >= 0xd800 && code < 0xdc00 && at + 3 < bytes.size()) {
        code = 0x10000 + ((code & 0x3ff) << 10) + (unit(at + 2) & 0x3ff);
        at += 2;
      }
      append_utf8(text, code);
    }
    bytes = std::move(text);
  }
  check(bytes.find('\0') == std::string::npos, ExitCode::data, where,
        " is neither a list of images nor an IDX file; give a folder, a text file with one image "
        "path a line, or an IDX file");
  return bytes;
}

ListFile parse_list(const std::string& text, const std::string& where, const std::string& image_key,
                    const std::string& label_key) {
  check(!text.starts_with("{\"") && !text.starts_with("[{"), ExitCode::data, where,
        " is JSON, not a list; write it as a table with columns path and label (CSV)");
  ListFile list;
  char separator = blank;
  std::vector<Record> records = records_of(text, blank, where);
  if (records.empty()) return list;
  for (const char candidate : {'\t', ',', ';'})
    if (separator == blank && text.find(candidate) != std::string::npos &&
        parts(records, candidate)) {
      separator = candidate;
      records = records_of(text, separator, where);
    }

  Columns columns{.header = false, .path = 0, .label = 1};
  const auto fields_of = [&](std::size_t i) {
    if (separator != blank) return split(records[i].text, separator);
    if (columns.path == 0) return split_at_blank(records[i].text);
    const std::string line = trimmed(records[i].text);  // "LABEL PATH"
    const std::size_t end = std::min(line.find_first_of(" \t"), line.size());
    return Fields{line.substr(0, end), trimmed(std::string_view(line).substr(end))};
  };
  const bool keys = !image_key.empty() || !label_key.empty();
  // Words with blanks between them name columns only where they are known.
  Fields first = separator == blank ? split(trimmed(records.front().text), blank) : fields_of(0);
  const bool known =
      column_among(first, path_columns) &&
      (first.size() == 1 || (first.size() == 2 && column_among(first, label_columns)));
  if (separator != blank || known)
    if (const auto header = header_in(first, records.size() > 1 ? fields_of(1) : Fields{}, where,
                                      image_key, label_key))
      columns = *header;
  check(columns.header || !keys, ExitCode::data, where, " has no header line; ",
        image_key.empty() ? "--label_key" : "--image_key", " names one of its columns");
  if (columns.header && separator == blank) {
    columns.path = first.size() == 2 ? *column_among(first, path_columns) : 0;
    columns.label = 1 - columns.path;
  }
  if (columns.header && !columns.label && first.size() > 2) {
    for (const std::string& name : first) list.remark += (list.remark.empty() ? "" : ", ") + name;
    list.remark = "none of its columns (" + list.remark +
                  ") is known to hold labels, so classes are the folders in the paths; name a "
                  "column with --label_key";
  }

  constexpr std::size_t none = std::string::npos;
  const std::size_t part = columns.header ? column_among(first, part_columns).value_or(none) : none;
  for (std::size_t i = columns.header ? 1 : 0; i < records.size(); ++i) {
    Fields fields = fields_of(i);
    ListLine line{.path = "", .label = "", .part = "", .number = records[i].number};
    check(columns.path < fields.size() && !fields[columns.path].empty(), ExitCode::data, where,
          ", line ", line.number, " names no image: '", records[i].text.substr(0, 80), "'");
    if (part < fields.size()) line.part = lower_case(fields[part]);
    line.path = std::move(fields[columns.path]);
    if (columns.label && *columns.label < fields.size()) {
      line.label = std::move(fields[*columns.label]);
      // Without a header, several numbers are several labels.
      for (std::size_t c = *columns.label + 1; !columns.header && c < fields.size(); ++c) {
        check(label_number(fields[c]).has_value(), ExitCode::data, where, ", line ", line.number,
              " has ", fields.size(),
              " columns; begin the file with a header line that names them, "
              "for example path,label,…");
        line.label += ", " + fields[c];
      }
    }
    list.labelled |= !line.label.empty();
    list.lines.push_back(std::move(line));
  }
  list.labelled |= columns.header && columns.label.has_value();
  if (part < first.size() && part != columns.path && (label_key.empty() || part != columns.label))
    heed_parts(list, first[part]);
  if (list.parts && part == columns.label) {  // which it was taken for as the other of two
    list.labelled = false;
    for (ListLine& line : list.lines) line.label.clear();
  }
  return list;
}

}  // namespace sgmae
