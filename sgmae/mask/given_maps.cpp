#include "sgmae/mask/given_maps.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "sgmae/base/error.h"
#include "sgmae/io/checksum.h"
#include "sgmae/io/npy_header.h"
#include "sgmae/io/safetensors_header.h"
#include "sgmae/io/tensors.h"
#include "sgmae/train/checkpoint.h"

namespace sgmae {
namespace {

constexpr const char* kState = "given_maps";

bool is_one_of(DType type, std::initializer_list<DType> types) {
  return std::find(types.begin(), types.end(), type) != types.end();
}

bool fits(const std::string& name, DType type, GivenKind kind) {
  const auto called = [&](const char* wanted) { return name.empty() || name == wanted; };
  if (kind == GivenKind::parts)
    return called("parts") &&
           is_one_of(type, {DType::i64, DType::i32, DType::i16, DType::i8, DType::u8, DType::u16});
  return (called("relevance") &&
          is_one_of(type, {DType::f64, DType::f32, DType::f16, DType::bf16})) ||
         (called("mask") && is_one_of(type, {DType::u8, DType::boolean}));
}

const char* wanted(GivenKind kind) {
  return kind == GivenKind::parts
             ? "a .npy file of whole numbers, or a safetensors file with such a tensor `parts`"
             : "a .npy file of floating-point numbers (relevance), bytes or booleans (1: hide), or "
               "a safetensors file with such a tensor `relevance` or `mask`";
}

}  // namespace

GivenMaps::GivenMaps(const std::filesystem::path& path, std::string option, GivenKind kind,
                     const MaskContext& context)
    : path_(path), option_(std::move(option)), file_(path, ExitCode::data) {
  const Found found = find(kind, context.source);
  const MaeConfig& model = context.model.config();
  const std::vector<std::int64_t> shape{context.source.size(), model.grid_height(),
                                        model.grid_width()};
  check(found.shape == shape, ExitCode::data, option_, ": ", path_.string(), " is of shape ",
        at::IntArrayRef(found.shape), ", but ", at::IntArrayRef(shape),
        " is needed: one map for each training image, in the order in which `sgmae embed "
        "--data_path` writes them, of one value for each patch of the image squashed to the "
        "model's input");
  type_ = found.type;
  data_ = found.data;
  values_ = shape[1] * shape[2];
  checksum_ = checksum_digits(crc32c(file_.bytes()));
}

GivenMaps::Found GivenMaps::find(GivenKind kind, const Source& source) const {
  const auto refuse = [&](const auto&... why) {
    fail(ExitCode::data, option_, ": ", path_.string(), why..., "; give ", wanted(kind));
  };
  const std::span<const std::uint8_t> bytes = file_.bytes();
  if (bytes.size() > 0 && bytes[0] == 0x93) {  // of the magic of .npy
    const NpyHeader npy = parse_npy_header(bytes, path_.string());
    if (npy.column_major) refuse(" is in Fortran order (numpy.ascontiguousarray() mends that)");
    if (!fits("", npy.type, kind)) refuse(" holds ", info(npy.type).torch);
    return {"", npy.type, npy.shape, npy.data.data()};
  }
  const SafetensorsHeader header = parse_safetensors_header(bytes, path_.string());
  require_intact(path_, "; make it again");
  // Relevance maps of ours say which images they are of.
  if (const auto data = header.metadata.find("data");
      data != header.metadata.end() && !data->second.empty())
    check(data->second == data_hash(source), ExitCode::data, option_, ": ", path_.string(),
          " was made for other images than those of data_path; make it anew for these");
  for (const SafetensorsEntry& entry : header.entries)
    if (fits(entry.name, entry.type, kind))
      return {entry.name, entry.type, entry.shape, header.data.data() + entry.begin};
  std::string names;
  for (const SafetensorsEntry& entry : header.entries)
    names += str(names.empty() ? "" : ", ", entry.name, " (", info(entry.type).torch, ")");
  refuse(" holds ", names.empty() ? "nothing" : names);
  return {};
}

std::vector<float> GivenMaps::map(std::int64_t index) const {
  const std::size_t bytes = static_cast<std::size_t>(values_) * info(type_).bytes;
  const at::Tensor stored = at::empty({values_}, scalar_type(type_));  // aligned, as files are not
  std::memcpy(stored.data_ptr(), data_ + static_cast<std::size_t>(index) * bytes, bytes);
  const at::Tensor values = stored.to(at::kFloat);
  const float* const begin = values.const_data_ptr<float>();
  return {begin, begin + values_};
}

void GivenMaps::save(nlohmann::json& state) const {
  state[kState] = checksum_;
}

void GivenMaps::check_same(const nlohmann::json& state) const {
  const std::string before = state.value(kState, checksum_);
  check(before == checksum_, ExitCode::usage, option_, ": ", path_.string(),
        " is another file than the one that this run's masks came from (its checksum is ",
        checksum_, ", then it was ", before,
        "); give that one, or begin a run in another --output_dir");
}

}  // namespace sgmae
