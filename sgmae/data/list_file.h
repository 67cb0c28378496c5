// Internal to data/: list files as people export them.
//
// A file has one image a line. What separates its columns shows in its lines: tabs, commas or
// semicolons (RFC 4180: quoted fields, doubled quotes), or else a blank behind the file's name. A
// first line that names the columns says which hold path and label. UTF-8 or UTF-16 with a
// byte-order mark, any line ends.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sgmae/data/source.h"

namespace sgmae {

struct ListLine {
  std::string path, label;  // label: as written, "" where there is none
  std::string part;         // in lower case, what a column `split` or `subset` says
  std::int64_t number = 0;  // of the line, from 1
};

struct ListFile {
  std::vector<ListLine> lines;
  bool labelled = false;  // there is a column of labels, perhaps an empty one
  bool parts = false;     // its lines say for which of several parts of the data they are
  std::string remark;     // what the user should know, or ""
};

// Text as UTF-8 without byte-order mark. Throws Error(data), beginning with `where`, for what is no
// text.
std::string as_utf8(std::string bytes, const std::string& where);

// `image_key` and `label_key` name columns of a file with a header line; "": those of usual names.
// Throws Error(data), naming `where` and the line, for what cannot be understood.
ListFile parse_list(const std::string& text, const std::string& where,
                    const std::string& image_key = "", const std::string& label_key = "");

}  // namespace sgmae
