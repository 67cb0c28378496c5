#include "sgmae/io/torch_file.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <cstring>

#include "sgmae/base/file.h"
#include "sgmae/io/pickle.h"
#include "sgmae/io/torch_archive.h"
#include "sgmae/io/zip.h"

namespace sgmae {
namespace {

at::Tensor copied(const StoredTensor& stored) {
  const at::ScalarType type = scalar_type(stored.type);
  if (stored.bytes.empty()) return at::empty(stored.size, type);
  const std::size_t element_bytes = info(stored.type).bytes;
  // From its first element to its last, and from there into rows: the file's bytes need not be
  // aligned.
  const at::Tensor flat =
      at::empty({static_cast<std::int64_t>(stored.bytes.size() / element_bytes)}, type);
  auto* bytes = static_cast<std::uint8_t*>(flat.data_ptr());
  std::memcpy(bytes, stored.bytes.data(), stored.bytes.size());
  if (stored.swapped)
    for (std::size_t i = 0; i < stored.bytes.size(); i += element_bytes)
      std::reverse(bytes + i, bytes + i + element_bytes);
  const at::Tensor shaped = flat.as_strided(stored.size, stored.stride);
  return shaped.is_contiguous() ? shaped : shaped.contiguous();
}

class Writer {
 public:
  explicit Writer(const std::filesystem::path& path)
      : file_(path), zip_([this](std::string_view bytes) { file_.write(bytes); }) {}

  void run(const TorchDict& content) {
    write(content);
    const std::string pickle = std::move(pickle_).finish();
    add("data.pkl", pickle);
    add("byteorder", "little");
    for (std::size_t i = 0; i < tensors_.size(); ++i)
      zip_.add("archive/data/" + std::to_string(i),
               {static_cast<const std::uint8_t*>(tensors_[i].data_ptr()), tensors_[i].nbytes()});
    add("version", "3\n");
    zip_.finish();
    file_.commit();
  }

 private:
  void add(const std::string& name, std::string_view content) {
    zip_.add("archive/" + name,
             {reinterpret_cast<const std::uint8_t*>(content.data()), content.size()});
  }

  void write(const TorchDict& dict) {
    pickle_.begin_dict();
    for (const auto& [key, tree] : dict) {
      pickle_.text(key);
      std::visit([this](const auto& value) { write(value); }, tree.value);
    }
    pickle_.end_dict();
  }
  void write(const at::Tensor& tensor) {
    pickle_.tensor(dtype_of(tensor), std::to_string(tensors_.size()), tensor.sizes());
    tensors_.push_back(tensor.to(at::kCPU).contiguous());
  }
  void write(const nlohmann::json& json) {
    switch (json.type()) {
      case nlohmann::json::value_t::boolean:
        return pickle_.boolean(json);
      case nlohmann::json::value_t::number_integer:
      case nlohmann::json::value_t::number_unsigned:
        return pickle_.integer(json);
      case nlohmann::json::value_t::number_float:
        return pickle_.real(json);
      case nlohmann::json::value_t::string:
        return pickle_.text(json.get_ref<const std::string&>());
      case nlohmann::json::value_t::array:
        pickle_.begin_list();
        for (const nlohmann::json& item : json) write(item);
        return pickle_.end_list();
      case nlohmann::json::value_t::object:
        pickle_.begin_dict();
        for (const auto& [key, item] : json.items()) {
          pickle_.text(key);
          write(item);
        }
        return pickle_.end_dict();
      default:
        return pickle_.none();
    }
  }

  AtomicFile file_;
  ZipWriter zip_;
  PickleWriter pickle_;
  std::vector<at::Tensor> tensors_;
};

}  // namespace

TorchFile read_torch_file(const std::filesystem::path& path) {
  const MappedFile file(path, ExitCode::checkpoint);
  TorchArchive archive = read_torch_archive(file.bytes(), path.string());
  TorchFile result;
  result.rest = std::move(archive.rest);
  result.unknown = std::move(archive.unknown);
  for (const StoredTensor& tensor : archive.tensors)
    result.tensors.emplace_back(tensor.name, copied(tensor));
  return result;
}

TorchDict torch_dict(const NamedTensors& tensors) {
  TorchDict dict;
  for (const auto& [name, tensor] : tensors) dict.emplace_back(name, TorchTree{tensor});
  return dict;
}

void write_torch_file(const std::filesystem::path& path, const TorchDict& content) {
  Writer(path).run(content);
}

}  // namespace sgmae
