// JPEG through libjpeg-turbo, both ways.
#include <algorithm>
#include <csetjmp>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string_view>
#include <vector>

#include <jerror.h>
#include <jpeglib.h>

#include "sgmae/base/error.h"
#include "sgmae/image/codecs.h"
#include "sgmae/image/encode.h"
#include "sgmae/image/orientation.h"

namespace sgmae {
namespace {

constexpr std::uint8_t marker_app1 = 0xe1, marker_sos = 0xda, marker_eoi = 0xd9;

bool is_frame_header(std::uint8_t marker) {  // SOF0 … SOF15, without DHT, JPG and DAC
  return marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
}

// By its frame header: what libjpeg-turbo 2.1 does not decode.
void refuse_unread_coding(std::uint8_t marker) {
  constexpr std::uint8_t first = 0xc0, progressive = 0xc2, lossless = 0xc3;
  constexpr std::uint8_t arithmetic = 0xc9, arithmetic_progressive = 0xca;
  if (marker <= progressive || marker == arithmetic || marker == arithmetic_progressive) return;
  fail(ExitCode::data, "a ", marker == lossless ? "lossless" : "hierarchical or lossless",
       " JPEG (frame header ", marker - first, "), which is not read; convert it to PNG");
}

constexpr std::string_view exif_name{"Exif\0\0", 6};
constexpr std::string_view xmp_name{"http://ns.adobe.com/xap/1.0/\0", 29};

// A decompressor whose errors jump back into guarded() instead of ending the process, and whose
// warnings are dropped.
struct Decompressor {
  jpeg_decompress_struct info{};
  jpeg_error_mgr errors{};
  jpeg_progress_mgr progress{};
  std::jmp_buf escape{};
  char message[JMSG_LENGTH_MAX] = "";

  explicit Decompressor(std::span<const std::uint8_t> bytes) {
    info.err = jpeg_std_error(&errors);
    info.client_data = this;
    errors.error_exit = [](j_common_ptr common) {
      auto* self = static_cast<Decompressor*>(common->client_data);
      common->err->format_message(common, self->message);
      std::longjmp(self->escape, 1);
    };
    errors.emit_message = [](j_common_ptr, int) {};
    errors.output_message = [](j_common_ptr) {};
    guarded([&] {
      jpeg_create_decompress(&info);
      jpeg_mem_src(&info, bytes.data(), static_cast<unsigned long>(bytes.size()));
      // Each scan of a progressive file costs a pass over the whole image, however short it is.
      progress.progress_monitor = [](j_common_ptr common) {
        constexpr int most_scans = 500;  // of a usual file about 10
        auto* self = static_cast<Decompressor*>(common->client_data);
        if (self->info.input_scan_number <= most_scans) return;
        std::snprintf(self->message, sizeof self->message, "more than %d scans", most_scans);
        std::longjmp(self->escape, 1);
      };
      info.progress = &progress;
      // libjpeg would make up the missing rest of the file.
      info.src->fill_input_buffer = [](j_decompress_ptr decompress) -> boolean {
        ERREXIT(decompress, JERR_INPUT_EOF);
        return FALSE;
      };
    });
  }
  ~Decompressor() { jpeg_destroy_decompress(&info); }
  Decompressor(const Decompressor&) = delete;
  Decompressor& operator=(const Decompressor&) = delete;

  // Runs `step`; libjpeg's errors become Error(data). `step` must own nothing: a jump out of it
  // runs no destructors.
  template <class Step>
  void guarded(const Step& step) {
    if (setjmp(escape) != 0) fail(ExitCode::data, "damaged JPEG: ", static_cast<char*>(message));
    step();
  }
};

// The columns libjpeg is asked for, so that those of a region come out as in a whole decode:
// smoothed chroma depends on its neighbours, and the decoder treats the ends of what it decodes as
// the image's edges.
struct Columns {
  JDIMENSION first, width;
};

Columns columns_for(const jpeg_decompress_struct& info, const CropBox& region) {
  const int margin = info.max_h_samp_factor * DCTSIZE;
  const int first = std::max(region.x - margin, 0);
  const int last = std::min(region.x + region.width + margin, static_cast<int>(info.output_width));
  return {static_cast<JDIMENSION>(first), static_cast<JDIMENSION>(last - first)};
}

}  // namespace

StoredInfo read_jpeg_info(std::span<const std::uint8_t> bytes) {
  constexpr auto cut_header =
      "truncated JPEG: the file ends in its header (an incomplete download?)";
  StoredInfo info;
  std::vector<std::uint8_t> exif;  // perhaps over several segments
  std::span<const std::uint8_t> xmp;
  std::size_t at = 2;
  for (;;) {
    while (at < bytes.size() && bytes[at] != 0xff) ++at;
    while (at < bytes.size() && bytes[at] == 0xff) ++at;
    check(at + 3 <= bytes.size(), ExitCode::data, cut_header);
    const std::uint8_t marker = bytes[at];
    if (marker == 0 || marker == 0x01 || (marker >= 0xd0 && marker <= 0xd9)) {  // no length follows
      ++at;
      continue;
    }
    const std::size_t length = static_cast<std::size_t>(bytes[at + 1] << 8 | bytes[at + 2]);
    const std::size_t body = at + 3;
    check(length >= 2 && at + 1 + length <= bytes.size(), ExitCode::data, cut_header);
    if (marker == marker_sos) break;
    const auto segment = bytes.subspan(body, length - 2);
    const std::string_view text(reinterpret_cast<const char*>(segment.data()), segment.size());
    if (is_frame_header(marker)) {
      refuse_unread_coding(marker);
      check(segment.size() >= 6, ExitCode::data, "damaged JPEG: frame header too short");
      check(segment[0] == 8, ExitCode::data, "a JPEG of ", int{segment[0]},
            "-bit precision, which is not read; convert it to one of 8 bits");
      info.size = {segment[3] << 8 | segment[4], segment[1] << 8 | segment[2]};
      info.channels = segment[5];
      check(info.channels == 1 || info.channels == 3 || info.channels == 4, ExitCode::data,
            "a JPEG of ", info.channels, " channels, where 1, 3 or 4 are read");
    } else if (marker == marker_app1 && text.starts_with(exif_name)) {
      exif.insert(exif.end(), segment.begin() + exif_name.size(), segment.end());
    } else if (marker == marker_app1 && text.starts_with(xmp_name)) {
      xmp = segment.subspan(xmp_name.size());
    }
    at += 1 + length;
  }
  check(info.size.width > 0, ExitCode::data, "damaged JPEG: no frame header");
  // A crop decodes only a part, which must not decide whether a file counts as truncated.
  bool ended = false;
  for (std::size_t i = bytes.size() - 1; i > at && !ended; --i)
    ended = bytes[i] == marker_eoi && bytes[i - 1] == 0xff;
  check(ended, ExitCode::data, "truncated JPEG: no end-of-image marker (an incomplete download?)");
  info.orientation = orientation_of(exif, xmp);
  return info;
}

void decode_jpeg(std::span<const std::uint8_t> bytes, const CropBox& region, int channels,
                 Image& image) {
  Decompressor jpeg(bytes);
  jpeg_decompress_struct& info = jpeg.info;
  jpeg.guarded([&] {
    jpeg_read_header(&info, TRUE);
    switch (info.num_components) {
      case 1:
        info.out_color_space = JCS_GRAYSCALE;
        break;
      case 3:
        info.out_color_space = JCS_RGB;
        break;
      case 4:
        info.out_color_space = JCS_CMYK;
        break;
      default:
        ERREXIT1(&info, JERR_COMPONENT_COUNT, info.num_components);
    }
    jpeg_start_decompress(&info);
  });
  check(region.x + region.width <= static_cast<int>(info.output_width) &&
            region.y + region.height <= static_cast<int>(info.output_height),
        ExitCode::data, "damaged JPEG: two frame headers disagree");

  Columns columns = columns_for(info, region);
  const int stored_channels = info.output_components;
  const int pixel_channels = stored_channels == 4 ? 3 : stored_channels;
  // jpeg_crop_scanline starts at a whole block and may so widen the row. The row begins at an odd
  // address because libjpeg-turbo's colour conversion writes aligned rows past the cache, from
  // where reading them back would cost a tenth of the decode.
  std::vector<std::uint8_t> memory(
      (columns.width + static_cast<std::size_t>(info.max_h_samp_factor) * DCTSIZE) *
          static_cast<std::size_t>(stored_channels) +
      1);
  std::uint8_t* const row = memory.data() + 1;
  reshape(image, {region.width, region.height}, channels);
  const std::size_t image_row =
      static_cast<std::size_t>(region.width) * static_cast<std::size_t>(channels);
  jpeg.guarded([&] {
    if (columns.width < info.output_width)
      jpeg_crop_scanline(&info, &columns.first, &columns.width);
    if (region.y > 0) jpeg_skip_scanlines(&info, static_cast<JDIMENSION>(region.y));
    std::uint8_t* const start =
        row + (region.x - static_cast<int>(columns.first)) * stored_channels;
    for (int y = 0; y < region.height; ++y) {
      JSAMPROW target = row;
      while (jpeg_read_scanlines(&info, &target, 1) == 0) {
      }
      if (stored_channels == 4) cmyk_to_rgb(start, region.width);
      convert_pixels(start, pixel_channels,
                     image.pixels.data() + static_cast<std::size_t>(y) * image_row, channels,
                     region.width);
    }
    jpeg_abort_decompress(&info);
  });
}

std::vector<std::uint8_t> encode_jpeg(const ImageView& image, int quality) {
  jpeg_compress_struct info{};
  jpeg_error_mgr errors{};
  info.err = jpeg_std_error(&errors);
  // Compressing into memory fails for want of memory alone; nothing is then left to save.
  errors.error_exit = [](j_common_ptr) { throw std::bad_alloc(); };
  jpeg_create_compress(&info);
  unsigned char* memory = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &memory, &size);
  info.image_width = static_cast<JDIMENSION>(image.width);
  info.image_height = static_cast<JDIMENSION>(image.height);
  info.input_components = image.channels;
  info.in_color_space = image.channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, quality, TRUE);
  jpeg_start_compress(&info, TRUE);
  for (int y = 0; y < image.height; ++y) {
    JSAMPROW row = const_cast<JSAMPROW>(image.row(y));
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  std::vector<std::uint8_t> bytes(memory, memory + size);
  jpeg_destroy_compress(&info);
  std::free(memory);
  return bytes;
}

}  // namespace sgmae
