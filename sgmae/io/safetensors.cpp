#include "sgmae/io/safetensors.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>

#include "sgmae/base/file.h"

namespace sgmae {
namespace {

struct NamedType {
  const char* name;
  at::ScalarType type;
};

constexpr NamedType kTypes[] = {{"F64", at::kDouble},    {"F32", at::kFloat}, {"F16", at::kHalf},
                                {"BF16", at::kBFloat16}, {"I64", at::kLong},  {"I32", at::kInt},
                                {"I16", at::kShort},     {"I8", at::kChar},   {"U8", at::kByte},
                                {"BOOL", at::kBool}};

struct Entry {
  std::string name;
  at::ScalarType type;
  std::vector<std::int64_t> shape;
  std::uint64_t begin, end;  // in the data behind the header
};

// Reads one tensor's header entry; throws std::exception (of the JSON library or ours) when
// malformed.
Entry parse_entry(const std::string& name, const nlohmann::json& description,
                  std::uint64_t data_bytes) {
  const auto refuse = [&](const std::string& why) {
    throw std::runtime_error("tensor '" + name + "' " + why);
  };
  Entry entry{name, at::kFloat, {}, 0, 0};
  const std::string type = description.at("dtype");
  const auto found = std::find_if(std::begin(kTypes), std::end(kTypes),
                                  [&](const NamedType& t) { return type == t.name; });
  if (found == std::end(kTypes)) refuse("has the unknown type " + type);
  entry.type = found->type;

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
  std::uint64_t bytes = at::elementSize(entry.type);
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

const at::Tensor* TensorFile::find(const std::string& name) const {
  const auto found = std::find_if(tensors.begin(), tensors.end(),
                                  [&](const auto& tensor) { return tensor.first == name; });
  return found == tensors.end() ? nullptr : &found->second;
}

TensorFile read_safetensors(const std::filesystem::path& path) {
  const MappedFile file(path, ExitCode::checkpoint);
  const std::span<const std::uint8_t> bytes = file.bytes();
  const auto refuse = [&](const std::string& why) {
    fail(ExitCode::checkpoint, path.string(), " is not a whole safetensors file: ", why);
  };
  if (bytes.size() < 8) refuse("it has fewer than 8 bytes");
  std::uint64_t header_bytes;
  std::memcpy(&header_bytes, bytes.data(), 8);
  if (header_bytes > bytes.size() - 8) refuse("its header is longer than the file");
  const std::uint8_t* data = bytes.data() + 8 + header_bytes;
  const std::uint64_t data_bytes = bytes.size() - 8 - header_bytes;

  TensorFile result;
  std::vector<Entry> entries;
  try {
    const auto header = nlohmann::json::parse(bytes.data() + 8, data);
    if (!header.is_object()) throw std::runtime_error("its header is not a JSON object");
    for (const auto& [name, description] : header.items()) {
      if (name == "__metadata__") {
        for (const auto& [key, value] : description.items()) result.metadata[key] = value;
      } else {
        entries.push_back(parse_entry(name, description, data_bytes));
      }
    }
  } catch (const std::exception& error) {
    refuse(error.what());
  }

  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.begin, a.end) < std::tie(b.begin, b.end);
  });
  std::uint64_t last_end = 0;
  for (const Entry& entry : entries) {
    if (entry.begin < last_end) refuse("tensor '" + entry.name + "' overlaps another");
    if (entry.begin > last_end) refuse("nothing describes the bytes before '" + entry.name + "'");
    last_end = entry.end;
    const auto truth = [](std::uint8_t byte) { return byte <= 1; };
    if (entry.type == at::kBool && !std::all_of(data + entry.begin, data + entry.end, truth))
      refuse("tensor '" + entry.name + "' has truth values other than 0 and 1");
    at::Tensor tensor = at::empty(entry.shape, entry.type);
    if (entry.end > entry.begin)
      std::memcpy(tensor.data_ptr(), data + entry.begin, entry.end - entry.begin);
    result.tensors.emplace_back(entry.name, std::move(tensor));
  }
  if (last_end != data_bytes) refuse("there are bytes behind its last tensor");
  return result;
}

void write_safetensors(const std::filesystem::path& path, const NamedTensors& tensors,
                       const Metadata& metadata) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::vector<at::Tensor> contiguous;
  std::uint64_t offset = 0;
  for (const auto& [name, tensor] : tensors) {
    const auto found = std::find_if(std::begin(kTypes), std::end(kTypes), [&](const NamedType& t) {
      return t.type == tensor.scalar_type();
    });
    SGMAE_ASSERT(found != std::end(kTypes) && !header.contains(name));
    contiguous.push_back(tensor.to(at::kCPU).contiguous());
    const std::uint64_t end = offset + contiguous.back().nbytes();
    header[name] = {
        {"dtype", found->name}, {"shape", tensor.sizes().vec()}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');  // so that tensors are aligned in a mapped file
  const std::uint64_t header_bytes = text.size();

  AtomicFile file(path);
  file.write(&header_bytes, 8);
  file.write(text);
  for (const at::Tensor& tensor : contiguous) file.write(tensor.data_ptr(), tensor.nbytes());
  file.commit();
}

}  // namespace sgmae
