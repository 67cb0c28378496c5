#include "sgmae/io/checkpoint_file.h"

#include <algorithm>

#include "sgmae/base/file.h"
#include "sgmae/io/safetensors.h"
#include "sgmae/io/shard_index.h"
#include "sgmae/io/torch_file.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

// In the order in which Hugging Face's own loader looks for them.
constexpr const char* kFolderFiles[] = {"model.safetensors", "model.safetensors.index.json",
                                        "pytorch_model.bin", "pytorch_model.bin.index.json"};

bool is_there(const fs::path& path) {
  std::error_code error;  // such as a folder that may not be read: then it is not there for us
  return fs::exists(path, error);
}

struct Sign {
  std::string_view start;
  const char* is;
};

// What people have in place of a checkpoint, by its first bytes.
constexpr Sign kStrangers[] = {
    {"version https://git-lfs", "is a Git LFS pointer, not the file itself: run git lfs pull"},
    {"<", "is a web page or XML, not weights: download the file itself"},
    {"\x1f\x8b", "is gzip-compressed: decompress it first"},
    {"\x28\xb5\x2f\xfd", "is zstd-compressed: decompress it first"},
    {"\x89HDF", "is an HDF5 file (Keras?), which is not supported"},
    {"\x93NUMPY", "is a NumPy array, not a checkpoint"},
    {"\x89PNG", "is an image, not a checkpoint"},
    {"\xff\xd8\xff", "is an image, not a checkpoint"},
    {"GGUF", "is a GGUF file, which is not supported"},
    {"\x08", "looks like an ONNX model, which is not supported"},
};

enum class Content { torch, safetensors, index };

Content recognise(const fs::path& path) {
  const MappedFile file(path, ExitCode::checkpoint);
  const std::string_view bytes(reinterpret_cast<const char*>(file.bytes().data()),
                               file.bytes().size());
  const std::string where = path.string();
  check(!bytes.empty(), ExitCode::checkpoint, where, " is empty; an incomplete download?");
  // The first eight bytes are the header's length, so its brace is the surest sign. Asked before
  // the others, since a length may begin with any byte.
  if (bytes.size() > 8 && bytes[8] == '{' && bytes[7] == 0) return Content::safetensors;
  if (bytes.starts_with("PK\3\4") || bytes.starts_with("PK\5\6") || bytes.starts_with("\x80"))
    return Content::torch;
  const std::string_view text =
      bytes.substr(std::min(bytes.find_first_not_of(" \t\r\n"), bytes.size()));
  if (text.starts_with('{')) return Content::index;
  for (const Sign& sign : kStrangers)
    check(!text.starts_with(sign.start), ExitCode::checkpoint, where, ' ', sign.is);
  fail(ExitCode::checkpoint, where,
       " is none of the formats read here: .pth of torch.save, safetensors, or a Hugging Face "
       "folder");
}

CheckpointContent read_one(const fs::path& path, Content kind) {
  CheckpointContent content;
  content.weights = path;
  if (kind == Content::torch) {
    TorchFile file = read_torch_file(path);
    content.format = CheckpointFormat::torch;
    content.tensors = std::move(file.tensors);
    content.unknown = std::move(file.unknown);
    if (file.rest.is_object()) content.extra = std::move(file.rest);
  } else {
    TensorFile file = read_safetensors(path);
    content.tensors = std::move(file.tensors);
    content.metadata = std::move(file.metadata);
  }
  return content;
}

CheckpointContent read_shards(const fs::path& path) {
  ShardIndex names_of = parse_shard_index(read_text(path, ExitCode::checkpoint), path.string());
  CheckpointContent content;
  content.weights = path;
  content.shards = names_of.size();
  for (auto& [file, names] : names_of) {
    const fs::path shard = path.parent_path() / file;
    check(is_there(shard), ExitCode::checkpoint, "the shard ", shard.string(), " is missing");
    const Content kind = recognise(shard);
    check(kind != Content::index, ExitCode::checkpoint, shard.string(),
          " is JSON, where a shard of the weights should be");
    CheckpointContent part = read_one(shard, kind);
    content.format = part.format;
    content.metadata.merge(part.metadata);
    for (auto& tensor : part.tensors)
      if (names.erase(tensor.first) > 0) content.tensors.push_back(std::move(tensor));
    check(names.empty(), ExitCode::checkpoint, "the shard ", shard.string(), " lacks ",
          names.empty() ? "" : *names.begin());
  }
  return content;
}

}  // namespace

CheckpointContent read_checkpoint_file(const fs::path& path) {
  fs::path file = path;
  std::error_code error;
  if (fs::is_directory(path, error)) {
    const auto found = std::find_if(std::begin(kFolderFiles), std::end(kFolderFiles),
                                    [&](const char* name) { return is_there(path / name); });
    check(found != std::end(kFolderFiles), ExitCode::checkpoint, path.string(),
          " is a folder without model.safetensors or pytorch_model.bin; give the path of the file "
          "itself");
    file = path / *found;
  }
  const Content kind = recognise(file);
  CheckpointContent content = kind == Content::index ? read_shards(file) : read_one(file, kind);

  const bool of_folder = std::find(std::begin(kFolderFiles), std::end(kFolderFiles),
                                   file.filename().string()) != std::end(kFolderFiles);
  for (const char* name : {"config", "preprocessor_config"}) {
    const fs::path beside = file.parent_path() / (std::string(name) + ".json");
    if (of_folder && is_there(beside))
      content.extra[name] =
          parse_json_object(read_text(beside, ExitCode::checkpoint), beside.string());
  }
  return content;
}

}  // namespace sgmae
