#include "sgmae/io/safetensors_header.h"

#include <algorithm>
#include <cstring>
#include <limits>
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
  if (!found) refuse("has the type " + type + ", which is not read here");
  entry.type = *found;

  const nlohmann::json& offsets = description.at("data_offsets");
  if (!offsets.is_array() || offsets.size() != 2 || !offsets[0].is_number_unsigned() ||
      !offsets[1].is_number_unsigned())
    refuse("has no pair of data_offsets");
  entry.begin = offsets[0];
  entry.end = offsets[1];
  if (entry.begin > entry.end || entry.end > data_bytes)
    refuse("lies outside the file; an incomplete download?");

  const nlohmann::json& shape = description.at("shape");
  const auto whole = [](const nlohmann::json& size) { return size.is_number_unsigned(); };
  if (!shape.is_array() || !std::all_of(shape.begin(), shape.end(), whole))
    refuse("has a shape with entries that are not whole numbers");
  for (const nlohmann::json& size : shape) {
    constexpr std::uint64_t kLargest = std::numeric_limits<std::int64_t>::max();
    entry.shape.push_back(static_cast<std::int64_t>(std::min(size.get<std::uint64_t>(), kLargest)));
  }
  const auto bytes = tensor_bytes(info(entry.type).bytes, entry.shape, data_bytes);
  if (!bytes) refuse("is larger than the file");
  if (entry.end - entry.begin != *bytes) refuse("has a shape that does not match its bytes");
  return entry;
}

}  // namespace

SafetensorsHeader parse_safetensors_header(std::span<const std::uint8_t> file,
                                           const std::string& where) {
  const auto refuse = [&](const std::string& why) {
    fail(ExitCode::checkpoint, where, " is not a valid safetensors file: ", why);
  };
  if (file.size() < 8) refuse("it has fewer than 8 bytes");
  std::uint64_t header_bytes;
  std::memcpy(&header_bytes, file.data(), 8);
  if (header_bytes > file.size() - 8)
    refuse("its header is longer than the file; an incomplete download?");
  if (header_bytes > kMaxHeaderBytes) refuse("its header is longer than 100 MB");

  SafetensorsHeader header;
  header.data = file.subspan(8 + header_bytes);
  try {
    const auto text = file.subspan(8, header_bytes);
    // The JSON library takes a NUL for the end of its text. The format pads with spaces.
    if (std::find(text.begin(), text.end(), 0) != text.end())
      throw std::runtime_error("its header holds NUL bytes; the format pads it with spaces");
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
    if (entry.begin > last_end) refuse("the bytes before '" + entry.name + "' belong to no tensor");
    last_end = entry.end;
    const auto bytes = header.data.subspan(entry.begin, entry.end - entry.begin);
    if (entry.type == DType::boolean &&
        !std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t byte) { return byte <= 1; }))
      refuse("tensor '" + entry.name + "' has booleans other than 0 and 1");
  }
  if (last_end != header.data.size()) refuse("trailing bytes after the last tensor");
  return header;
}

}  // namespace sgmae
