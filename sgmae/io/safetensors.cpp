#include "sgmae/io/safetensors.h"

#include <ATen/ops/empty.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "sgmae/base/file.h"
#include "sgmae/base/progress.h"
#include "sgmae/io/checksum.h"
#include "sgmae/io/safetensors_header.h"

namespace sgmae {

TensorFile read_safetensors(const std::filesystem::path& path) {
  const MappedFile file(path, ExitCode::checkpoint);
  SafetensorsHeader header = parse_safetensors_header(file.bytes(), path.string());
  TensorFile result;
  result.metadata = std::move(header.metadata);
  for (SafetensorsEntry& entry : header.entries) {
    at::Tensor tensor = at::empty(entry.shape, scalar_type(entry.type));
    if (entry.end > entry.begin)
      std::memcpy(tensor.data_ptr(), header.data.data() + entry.begin, entry.end - entry.begin);
    result.tensors.emplace_back(std::move(entry.name), std::move(tensor));
  }
  return result;
}

void write_safetensors(const std::filesystem::path& path, const NamedTensors& tensors,
                       const Metadata& metadata) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  header["__metadata__"] = metadata;
  header["__metadata__"][checksum_key] = checksum_unknown;
  std::vector<at::Tensor> contiguous;
  std::uint64_t offset = 0;
  for (const auto& [name, tensor] : tensors) {
    SGMAE_ASSERT(!header.contains(name));
    contiguous.push_back(tensor.to(at::kCPU).contiguous());
    const std::uint64_t end = offset + contiguous.back().nbytes();
    header[name] = {{"dtype", info(dtype_of(tensor)).name},
                    {"shape", tensor.sizes().vec()},
                    {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');  // so that tensors are aligned in a mapped file
  const std::uint64_t header_bytes = text.size();
  const auto bytes_of = [](const void* data, std::size_t bytes) {
    return std::span(static_cast<const std::uint8_t*>(data), bytes);
  };
  std::uint32_t checksum = crc32c(bytes_of(&header_bytes, 8));
  checksum = crc32c(bytes_of(text.data(), text.size()), checksum);
  for (const at::Tensor& tensor : contiguous)
    checksum = crc32c(bytes_of(tensor.data_ptr(), tensor.nbytes()), checksum);
  text.replace(checksum_place(text).value(), 8, checksum_digits(checksum));

  AtomicFile file(path);
  file.write(&header_bytes, 8);
  file.write(text);
  const auto megabytes = [](std::uint64_t bytes) {
    return static_cast<std::int64_t>(bytes / 1'000'000);
  };
  Progress progress(path.filename().string() + ", MB written", megabytes(offset));
  offset = 0;
  for (const at::Tensor& tensor : contiguous) {
    file.write(tensor.data_ptr(), tensor.nbytes());
    progress.show(megabytes(offset += tensor.nbytes()));
  }
  file.commit();
}

}  // namespace sgmae
