// Internal to data/: counting what a source leaves out.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sgmae/data/bytes.h"
#include "sgmae/data/source.h"

namespace sgmae {

// Adds `count` to what was left out for a reason; the first example stays.
void add_left_out(std::vector<LeftOut>& all, const std::string& reason, LeftOut::Weight weight,
                  const std::string& example, std::int64_t count = 1);
void add_left_out(std::vector<LeftOut>& all, const std::vector<LeftOut>& more);

// Counts a file that is not of a type that is read: an image is lost, a text is not.
void add_other_file(std::vector<LeftOut>& all, const std::string& path);

// For caches. Reading throws Error(data) for what is damaged.
void write_left_out(ByteWriter& writer, const std::vector<LeftOut>& all);
std::vector<LeftOut> read_left_out(ByteReader& reader);

}  // namespace sgmae
