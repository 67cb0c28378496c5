#include "sgmae/eval/embedding.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <unordered_map>

#include "sgmae/base/error.h"
#include "sgmae/base/file.h"
#include "sgmae/base/json.h"
#include "sgmae/data/table_file.h"
#include "sgmae/eval/labelled_data.h"
#include "sgmae/io/npy.h"
#include "sgmae/io/safetensors.h"
#include "sgmae/train/checkpoint.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

std::string text_of(const ordered_json& json) {  // paths need not be UTF-8, JSON must be
  return json.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

// The same, as other programs would read it in a JSON string.
std::string utf8(const std::string& text) {
  return ordered_json::parse(text_of(text)).get<std::string>();
}

fs::path beside(const fs::path& npy) {
  return npy.string() + ".json";
}

constexpr const char* cure = "; make it by sgmae embed";

Fit fit_of(const std::string& name) {
  for (const auto& [known, fit] : fit_names)
    if (name == known) return fit;
  fail(ExitCode::data, "fit is '", name, "', which is none of auto, centre_crop and squash");
}

const char* name_of(Fit fit) {
  for (const auto& [name, known] : fit_names)
    if (fit == known) return name;
  SGMAE_ASSERT(false);
  return "";
}

EmbeddingInfo info_of(const ordered_json& json) {
  EmbeddingInfo info;
  const auto text = [&](const char* key, std::string& value) { json.at(key).get_to(value); };
  text("checkpoint", info.checkpoint);
  text("model", info.model);
  text("features", info.features);
  json.at("height").get_to(info.height);
  json.at("width").get_to(info.width);
  info.fit = fit_of(json.at("fit").get<std::string>());
  json.at("mean").get_to(info.mean);
  json.at("std").get_to(info.std);
  text("precision", info.precision);
  text("folder", info.folder);
  text("data_path", info.data_path);
  text("split", info.split);
  text("data_root", info.data_root);
  text("format", info.format);
  text("data", info.data);
  return info;
}

at::Tensor flags(const Embedding& embedding) {
  const std::vector<bool> readable = embedding.readable();
  at::Tensor flags = at::empty({embedding.size()}, at::kByte);
  std::copy(readable.begin(), readable.end(), flags.mutable_data_ptr<std::uint8_t>());
  return flags;
}

void write_table(const fs::path& path, const Embedding& embedding, Metadata metadata) {
  FeatureTable table;
  for (std::int64_t row = 0; row < embedding.size(); ++row) {
    table.paths.push_back(utf8(embedding.names[static_cast<std::size_t>(row)]));
    table.class_names.push_back(utf8(embedding.class_of(row)));
  }
  table.labels = embedding.label;
  table.readable = embedding.readable();
  table.shape = embedding.features.sizes().vec();
  table.metadata = std::move(metadata);
  const at::Tensor features = embedding.features.contiguous();
  AtomicFile file(path);
  const std::string wrong =
      needed_table_plugin(path, ExitCode::usage)
          .write_features(
              table, {features.const_data_ptr<float>(), static_cast<std::size_t>(features.numel())},
              [&](const void* data, std::size_t bytes) { file.write(data, bytes); });
  check(wrong.empty(), ExitCode::usage, path.string(), ": cannot be written (", wrong, ")");
  file.commit();
}

// Features, names and labels of a table; returns what its metadata says.
Metadata read_table(const fs::path& path, Embedding& read) {
  FeatureTable table;
  const auto values = std::make_shared<std::vector<float>>();
  const std::string wrong = needed_table_plugin(path).read_features(path.string(), table, *values);
  check(wrong.empty(), ExitCode::data, path.string(), ": holds no features of images (", wrong, ")",
        cure);
  check(!table.shape.empty(), ExitCode::data, path.string(), ": has no rows", cure);
  read.features = at::from_blob(
      values->data(), table.shape, [values](void*) {}, at::kFloat);
  read.names = std::move(table.paths);
  read.label = std::move(table.labels);
  return std::move(table.metadata);
}

}  // namespace

ordered_json to_json(const EmbeddingInfo& info) {
  return {{"checkpoint", info.checkpoint},
          {"model", info.model},
          {"features", info.features},
          {"height", info.height},
          {"width", info.width},
          {"fit", name_of(info.fit)},
          {"mean", info.mean},
          {"std", info.std},
          {"precision", info.precision},
          {"folder", info.folder},
          {"data_path", info.data_path},
          {"split", info.split},
          {"data_root", info.data_root},
          {"format", info.format},
          {"data", info.data}};
}

std::vector<bool> Embedding::readable() const {
  const at::Tensor finite = at::isfinite(features.flatten(1)).all(1).contiguous();
  const auto* first = finite.const_data_ptr<bool>();
  return std::vector<bool>(first, first + finite.numel());
}

std::string Embedding::class_of(std::int64_t row) const {
  const std::int64_t of = label[static_cast<std::size_t>(row)];
  if (of < 0) return "";
  const auto place = static_cast<std::size_t>(of);
  return place < class_names.size() ? class_names[place] : std::to_string(of);
}

void check_embedding_name(const fs::path& path) {
  const fs::path ending = path.extension();
  check(ending == ".npy" || ending == ".safetensors" || ending == ".parquet", ExitCode::usage,
        "--to '", path.string(), "' must end in .safetensors, .npy or .parquet");
  if (ending == ".parquet") needed_table_plugin(path, ExitCode::usage);
}

bool is_embedding(const fs::path& path) {
  std::error_code error;
  if (!fs::is_regular_file(path, error)) return false;
  if (path.extension() != ".parquet")
    return path.extension() == ".npy" || path.extension() == ".safetensors";
  std::string why;
  const TablePlugin* const plugin = table_plugin(why);
  TableSchema schema;
  if (!plugin || !plugin->read_schema(path.string(), schema).empty()) return false;
  return std::any_of(schema.columns.begin(), schema.columns.end(), [](const TableColumn& column) {
    return column.name == "feature" && column.kind == TableColumn::Kind::other;
  });
}

void write_embedding(const fs::path& path, const Embedding& embedding) {
  const ordered_json names = embedding.names, class_names = embedding.class_names,
                     info = to_json(embedding.info);
  if (path.extension() == ".npy") {
    write_file(beside(path), text_of({{"names", names},
                                      {"label", embedding.label},
                                      {"class_names", class_names},
                                      {"readable", embedding.readable()},
                                      {"embedding", info}}));
    write_npy(path, embedding.features);
    return;
  }
  Metadata metadata{{"class_names", text_of(class_names)}, {"embedding", text_of(info)}};
  if (path.extension() == ".parquet") {
    write_table(path, embedding, std::move(metadata));
    return;
  }
  metadata["names"] = text_of(names);
  write_safetensors(path,
                    {{"features", embedding.features},
                     {"readable", flags(embedding)},
                     {"label", at::tensor(embedding.label, at::kLong)}},
                    metadata);
}

Embedding read_embedding(const fs::path& path) {
  const std::string where = path.string();
  std::error_code error;
  check(fs::is_regular_file(path, error), ExitCode::data, where, ": there is no such file", cure);
  Embedding read;
  read.path = path;
  ordered_json names, label, class_names, info;
  const auto said = [](const Metadata& metadata, const char* key) {
    const auto found = metadata.find(key);
    return found == metadata.end() ? ordered_json()
                                   : ordered_json::parse(found->second, nullptr, false);
  };
  if (path.extension() == ".npy") {
    check(fs::is_regular_file(beside(path), error), ExitCode::data, where, ": ",
          beside(path).filename().string(), " with the names of its images is not beside it", cure);
    const ordered_json all = ordered_json::parse(read_text(beside(path)), nullptr, false);
    names = json_member(all, "names"), class_names = json_member(all, "class_names");
    info = json_member(all, "embedding");
    label = json_member(all, "label");
    read.features = read_npy(path);
  } else if (path.extension() == ".parquet") {
    const Metadata metadata = read_table(path, read);
    class_names = said(metadata, "class_names"), info = said(metadata, "embedding");
  } else {
    check(path.extension() == ".safetensors", ExitCode::data, where,
          ": is no file of features, .safetensors, .npy or .parquet", cure);
    const TensorFile file = read_safetensors(path);
    names = said(file.metadata, "names"), class_names = said(file.metadata, "class_names");
    info = said(file.metadata, "embedding");
    const at::Tensor *features = file.find("features"), *classes = file.find("label");
    check(features && classes && classes->scalar_type() == at::kLong, ExitCode::data, where,
          ": holds no features of images", cure);
    read.features = *features;
    read.label.assign(classes->const_data_ptr<std::int64_t>(),
                      classes->const_data_ptr<std::int64_t>() + classes->numel());
  }
  check(info.is_object(), ExitCode::data, where,
        ": does not say which model made it; embed the images again");
  try {
    if (read.names.empty()) names.get_to(read.names);
    if (read.label.empty()) label.get_to(read.label);
    class_names.get_to(read.class_names);
    read.info = info_of(info);
  } catch (const nlohmann::json::exception& damage) {
    fail(ExitCode::data, where, ": is damaged (", damage.what(), ")", cure);
  }
  check(read.features.dim() != 3, ExitCode::data, where,
        ": holds a vector for every patch, and images are compared by one each; embed them with "
        "--features mean or cls");
  const auto rows = static_cast<std::size_t>(read.features.dim() == 2 ? read.features.size(0) : 0);
  check(rows > 0 && read.features.scalar_type() == at::kFloat && read.names.size() == rows &&
            read.label.size() == rows,
        ExitCode::data, where, ": features, names and labels are not as many as each other", cure);
  return read;
}

std::unique_ptr<Source> images_of(const Embedding& embedding) {
  const EmbeddingInfo& info = embedding.info;
  const std::string which = embedding.path.string();
  std::unique_ptr<Source> source;
  if (info.data_path.empty()) {
    std::vector<std::string> files;
    for (const std::string& name : embedding.names)
      files.push_back((fs::path(info.folder) / name).string());
    source = open_files(std::move(files));
  } else {
    DataFormat format;
    Options declared;
    declared.section("data");
    declare_data_format(declared, format);
    declared.load_toml(info.format, which);
    source = open_source(info.data_path, info.split, info.data_root, format);
  }
  check(source->size() == embedding.size() && data_hash(*source) == info.data, ExitCode::data,
        which, ": its images have changed since they were embedded; embed them again");
  return source;
}

std::vector<std::int64_t> rows_of(const Embedding& embedding,
                                  const std::vector<std::string>& files) {
  // Few rows have the file's own name; only of these the disk is asked.
  std::unordered_multimap<std::string, std::size_t> asked;
  for (std::size_t i = 0; i < files.size(); ++i)
    asked.emplace(fs::path(files[i]).filename().string(), i);
  std::vector<std::int64_t> rows(files.size(), -1);
  for (std::size_t row = 0; row < embedding.names.size(); ++row) {
    const std::string& name = embedding.names[row];
    const auto [begin, end] = asked.equal_range(name.substr(name.rfind('/') + 1));
    for (auto at = begin; at != end; ++at) {
      std::error_code error;
      if (rows[at->second] < 0 &&
          fs::equivalent(fs::path(embedding.info.folder) / name, files[at->second], error))
        rows[at->second] = static_cast<std::int64_t>(row);
    }
  }
  return rows;
}

at::Tensor embed_like(const Embedding& embedding, const OpenedModel& model,
                      const std::vector<std::string>& files) {
  const EmbeddingInfo& info = embedding.info;
  const VitConfig& config = model.encoder().config();
  const std::string hash = model_hash(model.parameters());
  check(hash == info.model && model.info.mean == info.mean && model.info.std == info.std &&
            embedding.features.size(1) == config.size.dim,
        ExitCode::checkpoint, embedding.path.string(), " was made by another model than ",
        model.path.string(), ": by ", info.checkpoint, " as it was then; embed the images again");
  const TokenFeatures features = info.features == "cls" ? TokenFeatures::cls : TokenFeatures::mean;
  at::Tensor rows = at::empty({static_cast<std::int64_t>(files.size()), config.size.dim});
  for (std::size_t i = 0; i < files.size(); ++i) {
    const LoadedImage loaded =
        load_image(files[i], static_cast<int>(config.height), static_cast<int>(config.width),
                   static_cast<int>(config.channels), model.info.normalisation(), info.fit);
    rows[static_cast<std::int64_t>(i)].copy_(
        features_of(model, model.encoder().encode(loaded.pixels), features)[0]);
  }
  return rows;
}

}  // namespace sgmae
