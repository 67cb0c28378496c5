#include "sgmae/data/array_image.h"

#include <algorithm>
#include <cstring>
#include <string_view>
#include <type_traits>
#include <utility>

#include "sgmae/base/error.h"
#include "sgmae/image/codecs.h"
#include "sgmae/image/decode.h"
#include "sgmae/io/npy_header.h"
#include "sgmae/io/zip.h"

namespace sgmae {
namespace {

constexpr const char* the_array = "the array";  // begins the parsers' messages

struct Half {
  std::uint16_t bits;
};

// Which axis holds the channels: 0 or 2.
std::size_t channel_axis(const std::vector<std::int64_t>& shape, ArrayAxes axes) {
  if (axes != ArrayAxes::automatic) return axes == ArrayAxes::chw ? 0 : 2;
  if (shape[0] == shape[1]) return 2;  // also where all three are alike
  if (shape[1] == shape[2]) return 0;
  return shape[0] < shape[2] ? 0 : 2;
}

template <class Number>
void convert(const std::uint8_t* numbers, const ArrayInfo& info, const CropBox& region,
             Bands& bands) {
  float* out = bands.values.data();
  const auto number_at = [numbers](std::ptrdiff_t at) {
    Number number;
    std::memcpy(&number, numbers + at * static_cast<std::ptrdiff_t>(sizeof number), sizeof number);
    if constexpr (std::is_same_v<Number, Half>)
      return half_to_float(number.bits);
    else
      return static_cast<float>(number);
  };
  for (int y = region.y; y < region.y + region.height; ++y)
    for (int x = region.x; x < region.x + region.width; ++x) {
      std::ptrdiff_t at = y * info.down + x * info.across;
      for (int c = 0; c < info.channels; ++c, at += info.deep) *out++ = number_at(at);
    }
}

}  // namespace

bool is_npy(std::span<const std::uint8_t> file) {
  return std::string_view(reinterpret_cast<const char*>(file.data()), file.size())
      .starts_with("\x93NUMPY");
}

bool is_npz(std::span<const std::uint8_t> file) {
  constexpr std::size_t header = 30;
  const std::string_view bytes(reinterpret_cast<const char*>(file.data()), file.size());
  if (!bytes.starts_with("PK\3\4") || bytes.size() < header) return false;
  const std::size_t name = file[26] + std::size_t{256} * file[27];
  return bytes.substr(header, name).ends_with(".npy");
}

std::vector<std::uint8_t> npy_of_npz(std::span<const std::uint8_t> file) {
  const ZipArchive archive = read_zip_directory(file, "the .npz", ExitCode::data);
  const ZipEntry* entry = archive.find("image.npy");
  if (entry == nullptr) {
    std::string names;
    for (const ZipEntry& one : archive.entries) names += (names.empty() ? "" : ", ") + one.name;
    check(archive.entries.size() == 1, ExitCode::data, "the .npz has ", archive.entries.size(),
          " arrays (", names.substr(0, 200), "); call the image's 'image', or save it alone");
    entry = &archive.entries.front();
  }
  check(entry->bytes <= max_image_bytes, ExitCode::data, "the .npz unfolds to ", entry->bytes,
        " bytes, more than the limit of ", max_image_bytes);
  ZipContent content = read_zip_entry(archive, *entry);
  if (!content.inflated.empty()) return std::move(content.inflated);
  return {content.bytes.begin(), content.bytes.end()};
}

ArrayInfo read_array_info(std::span<const std::uint8_t> file, ArrayAxes axes) {
  const NpyHeader header = parse_npy_header(file, the_array);
  const std::vector<std::int64_t>& shape = header.shape;
  check(shape.size() == 2 || shape.size() == 3, ExitCode::data, the_array, " has ", shape.size(),
        shape.size() == 1 ? " axis" : " axes",
        "; an image has two, [H, W], or three, [H, W, C] or [C, H, W]; save each image by itself");
  check(header.type != DType::c64, ExitCode::data, the_array,
        " is of complex numbers; save their size or their parts as channels");
  std::vector<std::ptrdiff_t> step(shape.size());
  std::ptrdiff_t next = 1;
  for (std::size_t k = 0; k < shape.size(); ++k) {
    const std::size_t axis = header.column_major ? k : shape.size() - 1 - k;
    step[axis] = next;
    next *= static_cast<std::ptrdiff_t>(shape[axis]);
  }
  const std::size_t deep = shape.size() == 2 ? 2 : channel_axis(shape, axes);
  const std::size_t down = deep == 0 ? 1 : 0, across = down + 1;
  const std::int64_t channels = shape.size() == 2 ? 1 : shape[deep];
  check(next > 0, ExitCode::data, the_array, " is empty");
  check(channels <= max_channels, ExitCode::data, the_array, " has ", channels,
        " channels, more than the limit of ", max_channels,
        "; if these are its rows, say how its axes lie: --array_axes hwc or chw");
  check(next <= max_image_values, ExitCode::data, the_array, " has ", next,
        " values, more than the limit of ", max_image_values, "; cut it into tiles");
  ArrayInfo info;
  info.size = checked_size(static_cast<std::uint64_t>(shape[across]),
                           static_cast<std::uint64_t>(shape[down]));
  info.channels = static_cast<int>(channels);
  info.type = header.type;
  info.begin = static_cast<std::size_t>(header.data.data() - file.data());
  info.across = step[across], info.down = step[down];
  info.deep = shape.size() == 2 ? 0 : step[deep];
  return info;
}

void decode_array(std::span<const std::uint8_t> file, const ArrayInfo& info, const CropBox& region,
                  Bands& bands) {
  reshape(bands, {region.width, region.height}, info.channels);
  const std::uint8_t* numbers = file.data() + info.begin;
  const auto as = [&]<class Number>(Number) { convert<Number>(numbers, info, region, bands); };
  switch (info.type) {
    case DType::f64:
      return as(double{});
    case DType::f32:
      return as(float{});
    case DType::f16:
      return as(Half{});
    case DType::i64:
      return as(std::int64_t{});
    case DType::i32:
      return as(std::int32_t{});
    case DType::i16:
      return as(std::int16_t{});
    case DType::i8:
      return as(std::int8_t{});
    case DType::u64:
      return as(std::uint64_t{});
    case DType::u32:
      return as(std::uint32_t{});
    case DType::u16:
      return as(std::uint16_t{});
    case DType::u8:
    case DType::boolean:
      return as(std::uint8_t{});
    default:
      SGMAE_ASSERT(!"an array of a type that its header does not allow");
  }
}

}  // namespace sgmae
