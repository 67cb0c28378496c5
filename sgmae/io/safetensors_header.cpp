#include "sgmae/io/safetensors_header.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <tuple>

#include "sgmae/base/error.h"

namespace sgmae {
namespace {

constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;  // the reference's limit

// Reads one tensor's header entry; throws std::exception (of the JSON library or ours) when
// malformed.
SafetensorsEntry parse_entry(const std::string& name, const nlohmann::json& description,
                             std::uint64_t data_bytes) {
  const auto refuse = [&](const std::string& why) {
    throw std::runtime_error("tensor '" + name + "' " + why);
  };
  SafetensorsEntry entry;
  entry.name = name;
  const std::string type = description.at("dtype");
  const auto found = find_dtype(&DTypeInfo::name, type);
  if (!found) refuse("has the unknown type " + type);
  entry.type = *found;

  const nlohmann::json& offsets = description.at("data_offsets");
  if (!offsets.is_array() || offsets.size() != 2 || !offsets[0].is_number_unsigned() ||
      !offsets[1].is_number_unsigned())
    refuse("has no pair of data_offsets");
  entry.begin = offsets[0];
  entry.end = offsets[1];
  if (entry.begin > entry.end || entry.end > data_bytes) refuse("lies outside the file");

  const nlohmann::json& shape = description.at("shape");
  const auto whole = [](const nlohmann::json& size) { return size.is_number_unsigned(); };
  if (!shape.is_array() || !std::all_of(shape.begin(), shape.end(), whole))
    refuse("has a shape that is not made of whole numbers");
  // Every factor is checked before it is multiplied, so that the product cannot overflow. An empty
  // tensor has no bytes that could bound its other sizes.
  const bool empty = std::find(shape.begin(), shape.end(), 0) != shape.end();
  const std::uint64_t limit = empty ? std::uint64_t{1} << 40 : data_bytes;
  std::uint64_t bytes = info(entry.type).bytes;
  for (const nlohmann::json& size : shape) {
    const std::uint64_t n = size;
    if (n > limit / bytes) refuse("is larger than the file");
    if (n > 0) bytes *= n;
    entry.shape.push_back(static_cast<std::int64_t>(n));
  }
  if (empty) bytes = 0;
  if (entry.end - entry.begin != bytes) refuse("has a shape that does not fit its bytes");
  return entry;
}

}  // namespace

SafetensorsHeader parse_safetensors_header(std::span<const std::uint8_t> file,
                                           const std::string& where) {
  const auto refuse = [&](const std::string& why) {
    fail(ExitCode::checkpoint, where, " is not a whole safetensors file: ", why);
  };
  if (file.size() < 8) refuse("it has fewer than 8 bytes");
  std::uint64_t header_bytes;
  std::memcpy(&header_bytes, file.data(), 8);
  if (header_bytes > file.size() - 8) refuse("its header is longer than the file");
  if (header_bytes > kMaxHeaderBytes) refuse("its header is longer than 100 MB");

  SafetensorsHeader header;
  header.data = file.subspan(8 + header_bytes);
  try {
    const auto text = file.subspan(8, header_bytes);
    const auto json = nlohmann::json::parse(text.begin(), text.end());
    if (!json.is_object()) throw std::runtime_error("its header is not a JSON object");
    for (const auto& [name, description] : json.items()) {
      if (name == "__metadata__") {
        for (const auto& [key, value] : description.items()) header.metadata[key] = value;
      } else {
        header.entries.push_back(parse_entry(name, description, header.data.size()));
      }
    }
  } catch (const std::exception& error) {
    refuse(error.what());
  }

  std::sort(header.entries.begin(), header.entries.end(),
            [](const SafetensorsEntry& a, const SafetensorsEntry& b) {
              return std::tie(a.begin, a.end) < std::tie(b.begin, b.end);
            });
  std::uint64_t last_end = 0;
  for (const SafetensorsEntry& entry : header.entries) {
    if (entry.begin < last_end) refuse("tensor '" + entry.name + "' overlaps another");
    if (entry.begin > last_end) refuse("nothing describes the bytes before '" + entry.name + "'");
    last_end = entry.end;
    const auto bytes = header.data.subspan(entry.begin, entry.end - entry.begin);
    if (entry.type == DType::boolean &&
        !std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t byte) { return byte <= 1; }))
      refuse("tensor '" + entry.name + "' has truth values other than 0 and 1");
  }
  if (last_end != header.data.size()) refuse("there are bytes behind its last tensor");
  return header;
}

}  // namespace sgmae
