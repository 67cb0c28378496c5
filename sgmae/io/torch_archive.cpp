#include "sgmae/io/torch_archive.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "sgmae/io/zip.h"

namespace sgmae {
namespace {

using Bytes = std::span<const std::uint8_t>;
using Json = nlohmann::json;

constexpr std::uint64_t kAllowance = 1 << 20;  // small files may unfold more
constexpr int kMaxDepth = 64;

// 0x1950a86a20f9469cfc6c, with which the legacy layout begins.
constexpr std::string_view kLegacyMagic = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";

class Reader {
 public:
  Reader(Bytes file, const std::string& where) : file_(file), where_(where) {}

  TorchArchive run() {
    const std::string_view start(reinterpret_cast<const char*>(file_.data()), file_.size());
    start.starts_with("PK") ? read_zip() : read_pickles();
    if (auto rest = walk(*archive_.pickle.root, "", 0)) archive_.rest = std::move(*rest);
    for (const PickleValue& value : archive_.pickle.values)
      if (const auto* unknown = value.as<PickleUnknown>()) archive_.unknown.insert(unknown->name);
    if (archive_.tensors.empty() && !archive_.unknown.empty()) {
      const auto* root = archive_.pickle.root->as<PickleUnknown>();
      fail(ExitCode::checkpoint, where_, " holds Python objects (",
           root ? root->name : *archive_.unknown.begin(),
           ") in place of tensors, and they are not run here: open it in Python and torch.save the "
           "model's state_dict()");
    }
    check_names();
    return std::move(archive_);
  }

 private:
  void need(bool condition, const char* why) const {
    check(condition, ExitCode::checkpoint, where_, " cannot be read as a PyTorch file: ", why);
  }

  // --- layouts

  void read_zip() {
    archive_.layout = TorchArchive::Layout::zip;
    const ZipArchive zip = read_zip_directory(file_, where_);
    std::unordered_map<std::string_view, const ZipEntry*> entries;
    const ZipEntry* data = nullptr;
    for (const ZipEntry& entry : zip.entries) {
      entries[entry.name] = &entry;
      const bool is_data =
          entry.name == "data.pkl" || (entry.name.ends_with("/data.pkl") &&
                                       std::count(entry.name.begin(), entry.name.end(), '/') == 1);
      if (is_data && !data) data = &entry;
    }
    check(data != nullptr, ExitCode::checkpoint, where_,
          " is a zip archive, but not one of torch.save: it has no data.pkl");
    const std::string folder = data->name.substr(0, data->name.size() - std::strlen("data.pkl"));
    check(!entries.contains(folder + "constants.pkl"), ExitCode::checkpoint, where_,
          " is a TorchScript program: open it in Python and torch.save its state_dict()");

    if (const auto order = entries.find(folder + "byteorder"); order != entries.end()) {
      const ZipContent content = read_zip_entry(zip, *order->second);
      const std::string word(content.bytes.begin(), content.bytes.end());
      need(word == "little" || word == "big", "its byte order is neither little nor big");
      swapped_ = word == "big";
    }
    archive_.pickle = read_pickle(keep(read_zip_entry(zip, *data)), where_);

    for (const PickleValue& value : archive_.pickle.values) {
      const auto* storage = value.as<PickleStorage>();
      if (!storage || storages_.contains(*storage->key)) continue;
      const auto entry = entries.find(folder + "data/" + *storage->key);
      need(entry != entries.end(), "the content of a tensor is missing");
      storages_[*storage->key] = keep(read_zip_entry(zip, *entry->second));
    }
  }

  Bytes keep(ZipContent content) {
    if (content.inflated.empty()) return content.bytes;
    archive_.unfolded.push_back(std::move(content.inflated));
    return archive_.unfolded.back();
  }

  // The legacy layout is a row of pickles: a magic number, a version, facts on the machine, the
  // object, the keys of its storages; and then the storages, each behind its number of elements.
  void read_pickles() {
    Bytes rest = file_;
    const auto next = [&] {
      Pickle pickle = read_pickle(rest, where_);
      rest = rest.subspan(pickle.bytes_read);
      return pickle;
    };
    Pickle first = next();
    const auto* magic = first.root->as<PickleBigInteger>();
    if (!magic || magic->bytes != kLegacyMagic) {
      archive_.layout = TorchArchive::Layout::plain_pickle;
      archive_.pickle = std::move(first);
      return;
    }
    archive_.layout = TorchArchive::Layout::legacy;
    next();  // version
    const Pickle machine = next();
    if (const auto* facts = machine.root->as<PickleDict>()) {
      const PickleValue* little = facts->find("little_endian");
      if (little && little->as<bool>()) swapped_ = !*little->as<bool>();
    }
    archive_.pickle = next();
    std::unordered_map<std::string_view, std::size_t> element_bytes;
    for (const PickleValue& value : archive_.pickle.values)
      if (const auto* storage = value.as<PickleStorage>())
        element_bytes[*storage->key] = info(storage->type).bytes;

    const Pickle keys = next();
    const auto* list = keys.root->as<PickleSequence>();
    need(list != nullptr, "the list of its storages is missing");
    for (const PickleValue* item : list->items) {
      const auto* text = item->as<std::string>();
      const auto* bytes = item->as<PickleBytes>();
      need(text || bytes, "the list of its storages is damaged");
      const std::string& key = text ? *text : bytes->data;
      const auto known = element_bytes.find(key);
      need(known != element_bytes.end(), "it has a storage of an unknown type");
      need(rest.size() >= 8, "it is cut off; an incomplete download?");
      std::uint64_t elements;
      std::memcpy(&elements, rest.data(), 8);
      if (swapped_) elements = __builtin_bswap64(elements);
      rest = rest.subspan(8);
      need(elements <= rest.size() / known->second, "it is cut off; an incomplete download?");
      storages_[key] = rest.first(elements * known->second);
      rest = rest.subspan(elements * known->second);
    }
  }

  // --- values

  // Shared values are met once for each reference to them; what that unfolds to is bounded.
  void count_unfolded(std::uint64_t bytes) {
    const std::uint64_t limit = kMaxUnfolding * file_.size() + kAllowance;
    need(bytes <= limit - unfolded_, "it unpacks to far more than its size");
    unfolded_ += bytes;
  }

  static std::optional<std::string> key_text(const PickleValue& key) {
    if (const auto* text = key.as<std::string>()) return *text;
    if (const auto* bytes = key.as<PickleBytes>()) return bytes->data;
    if (const auto* number = key.as<std::int64_t>()) return std::to_string(*number);
    return std::nullopt;
  }

  // Adds the tensors in `value` and returns what else is there; nullopt where nothing is, or only
  // what is unknown.
  std::optional<Json> walk(const PickleValue& value, const std::string& name, int depth) {
    need(depth < kMaxDepth, "its lists and dictionaries are nested too deeply");
    count_unfolded(name.size() + sizeof(Json));
    const auto below = [&](const std::string& key) {
      return name.empty() ? key : name + '.' + key;
    };
    const auto add = [&](StoredTensor tensor) {
      tensor.name = name.empty() ? "tensor" : name;
      archive_.tensors.push_back(std::move(tensor));
      return std::nullopt;
    };

    if (value.as<PickleUnknown>()) return std::nullopt;
    if (const auto* v = value.as<PickleTensor>()) return add(stored(*v));
    if (const auto* v = value.as<PickleArray>()) {
      auto tensor = stored(*v);
      return tensor ? add(std::move(*tensor)) : std::optional<Json>(nullptr);
    }
    if (const auto* v = value.as<bool>()) return *v;
    if (const auto* v = value.as<std::int64_t>()) return *v;
    if (const auto* v = value.as<double>()) return *v;
    if (const auto* v = value.as<PickleName>()) return std::string(v->name);
    const auto* text = value.as<std::string>();
    const auto* bytes = value.as<PickleBytes>();
    if (text || bytes) {
      const std::string& content = text ? *text : bytes->data;
      count_unfolded(content.size());
      return content;
    }
    if (const auto* v = value.as<PickleObject>()) {
      if (v->state->as<PickleDict>()) return walk(*v->state, name, depth + 1);
      auto arguments = walk(*v->arguments, name, depth + 1);
      if (!arguments || !v->name.starts_with("pathlib.")) return arguments;
      return joined_path(*arguments);
    }
    if (const auto* v = value.as<PickleSequence>()) {
      Json list = Json::array();
      std::size_t position = 0;
      for (const PickleValue* item : v->items) {
        auto rest = walk(*item, below(std::to_string(position++)), depth + 1);
        list.push_back(rest ? std::move(*rest)
                            : Json());  // null, so that the others keep their place
      }
      return list;
    }
    if (const auto* v = value.as<PickleDict>()) {
      Json object = Json::object();
      for (const auto& [key, item] : v->items) {
        const auto text = key_text(*key);
        if (!text) continue;  // tuples and the like have no counterpart
        if (auto rest = walk(*item, below(*text), depth + 1)) object[*text] = std::move(*rest);
      }
      if (object.empty() && !v->items.empty()) return std::nullopt;
      return object;
    }
    return Json();  // none, storages, numbers beyond 64 bits
  }

  static Json joined_path(const Json& parts) {
    std::string path;
    for (const Json& part : parts) {
      if (!part.is_string()) return parts;
      path += (path.empty() || path.ends_with('/') ? "" : "/") + part.get<std::string>();
    }
    return path;
  }

  // Checks that all elements lie in the storage.
  StoredTensor stored(const PickleTensor& tensor) {
    const auto storage = storages_.find(*tensor.storage->key);
    need(storage != storages_.end(), "the content of a tensor is missing");
    return stored(tensor.type, storage->second, tensor.offset, pickle_integers(*tensor.size),
                  pickle_integers(*tensor.stride));
  }

  // nullopt for arrays of characters, complex numbers and other types that tensors lack here.
  std::optional<StoredTensor> stored(const PickleArray& array) {
    std::string type = array.type;
    const bool swapped = type[0] == '>';
    if (swapped) type[0] = '<';
    const auto dtype = find_dtype(&DTypeInfo::numpy, type);
    if (!dtype) return std::nullopt;
    const auto size = pickle_integers(*array.shape);
    std::vector<std::int64_t> stride(size.size());
    std::int64_t next = 1;
    for (std::size_t i = 0; i < size.size(); ++i) {
      const std::size_t axis = array.column_major ? i : size.size() - 1 - i;
      stride[axis] = next;
      next *= std::max<std::int64_t>(size[axis], 1);
    }
    const std::string& data = array.bytes->data;
    auto tensor = stored(*dtype, {reinterpret_cast<const std::uint8_t*>(data.data()), data.size()},
                         0, size, stride);
    tensor.swapped = swapped;
    return tensor;
  }

  StoredTensor stored(DType type, Bytes storage, std::int64_t offset,
                      std::vector<std::int64_t> size, std::vector<std::int64_t> stride) {
    const std::uint64_t element_bytes = info(type).bytes;
    const std::uint64_t elements = storage.size() / element_bytes;
    const auto number = tensor_bytes(1, size, std::uint64_t{1} << 40);
    need(number.has_value(), "a tensor is impossibly large");
    auto last = static_cast<std::uint64_t>(offset);
    for (std::size_t i = 0; *number > 0 && i < size.size(); ++i) {
      const auto steps = static_cast<std::uint64_t>(size[i]) - 1;
      const auto step = static_cast<std::uint64_t>(stride[i]);
      if (steps == 0) continue;
      need(step <= elements / steps && last <= elements - steps * step,
           "a tensor extends beyond its storage");
      last += steps * step;
    }
    StoredTensor tensor{"", type, std::move(size), std::move(stride), {}, swapped_};
    if (*number == 0) return tensor;
    need(last < elements, "a tensor extends beyond its storage");
    const auto first = static_cast<std::uint64_t>(offset);
    tensor.bytes = storage.subspan(first * element_bytes, (last - first + 1) * element_bytes);
    count_unfolded(*number * element_bytes + tensor.bytes.size());
    const auto truth = [](std::uint8_t byte) { return byte <= 1; };
    need(type != DType::boolean || std::all_of(tensor.bytes.begin(), tensor.bytes.end(), truth),
         "a tensor has booleans other than 0 and 1");
    return tensor;
  }

  void check_names() const {
    std::unordered_set<std::string_view> names;
    for (const StoredTensor& tensor : archive_.tensors)
      check(names.insert(tensor.name).second, ExitCode::checkpoint, where_,
            " holds two tensors named ", tensor.name);
  }

  Bytes file_;
  const std::string& where_;
  TorchArchive archive_{};
  std::unordered_map<std::string, Bytes> storages_;
  bool swapped_ = false;
  std::uint64_t unfolded_ = 0;
};

}  // namespace

TorchArchive read_torch_archive(Bytes file, const std::string& where) {
  return Reader(file, where).run();
}

}  // namespace sgmae
