#include "sgmae/data/file_type.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>

#include "sgmae/data/gz.h"

namespace sgmae {
namespace {

constexpr std::array<std::string_view, 23> image_types{
    "jpg",  "jpeg", "jpe",  "jfif", "pjpeg", "pjp", "webp", "png", "bmp", "dib", "gif", "tif",
    "tiff", "heic", "heif", "hif",  "avif",  "jxl", "jp2",  "j2k", "jpf", "jpx", "jpc"};

constexpr std::array<std::string_view, 25> unread_image_types{
    "jxr", "ppm", "pgm", "pbm", "pnm", "pam", "psd", "svg", "eps", "tga", "ico", "pcx", "exr",
    "hdr", "dds", "dcm", "nii", "cr2", "cr3", "nef", "arw", "dng", "raf", "rw2", "xcf"};

template <std::size_t N>
bool among(const std::array<std::string_view, N>& types, std::string_view type) {
  return std::find(types.begin(), types.end(), type) != types.end();
}

enum class Container {
  none,
  gzip,
  compressed_tar,
  zip,
  parquet,
  arrow,
  hdf5,
  lmdb,
  records,
  other
};

std::string described(Container container) {
  constexpr const char* as_files =
      "; write its images out as files in class folders or as .tar shards, and give those";
  switch (container) {
    case Container::none:
      return "";
    case Container::gzip:
      return "is gzip-compressed; unpack it with gunzip";
    case Container::compressed_tar:
      return "is a compressed tar archive; images are read from a .tar in place, which a "
             "compressed one does not allow: unpack it with gunzip (or unxz, bunzip2, unzstd) and "
             "give the "
             ".tar";
    case Container::zip:
      return "is a zip archive; unzip it and give the folder";
    case Container::parquet:
      return "is a Parquet file; give it under a name that ends in .parquet, or the folder of such "
             "files";
    case Container::arrow:
      return "is an Arrow file; give it under a name that ends in .arrow, or the folder of such "
             "files";
    case Container::hdf5:
      return std::string("is an HDF5 file") + as_files;
    case Container::lmdb:
      return std::string("is an LMDB database") + as_files;
    case Container::records:
      return std::string("is a TFRecord file") + as_files;
    case Container::other:
      return "is a packed archive; unpack it and give the folder";
  }
  return "";
}

Container kind_named(std::string_view path) {
  const std::string type = extension_of(path);
  const std::string name = lower_case(path);
  if (type == "tgz" || type == "tbz2" || type == "txz") return Container::compressed_tar;
  if (type == "gz" || type == "bz2" || type == "xz" || type == "zst")
    return name.ends_with(".tar." + type) ? Container::compressed_tar : Container::gzip;
  if (type == "zip" || type == "npz") return Container::zip;
  if (type == "parquet") return Container::parquet;
  if (type == "arrow" || type == "feather") return Container::arrow;
  if (type == "h5" || type == "hdf5") return Container::hdf5;
  if (type == "mdb" || type == "lmdb") return Container::lmdb;
  if (type == "tfrecord" || type == "tfrecords" || name.find(".tfrecord-") != std::string::npos)
    return Container::records;
  if (type == "7z" || type == "rar") return Container::other;
  return Container::none;
}

// Whether what a gzip file holds begins like a tar archive.
bool holds_tar(const std::filesystem::path& path) {
  GzFile file(path);
  std::array<std::uint8_t, 512> header{};
  return file.read(header) == header.size() && std::memcmp(&header[257], "ustar", 5) == 0;
}

}  // namespace

std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return lower;
}

std::string extension_of(std::string_view path) {
  const std::string_view name = path.substr(path.rfind('/') + 1);  // npos + 1 is 0
  const std::size_t dot = name.rfind('.');
  return dot == std::string_view::npos ? "" : lower_case(name.substr(dot + 1));
}

bool has_image_extension(std::string_view path) {
  return image_rank(extension_of(path)) >= 0;
}

int image_rank(std::string_view extension) {
  const auto found = std::find(image_types.begin(), image_types.end(), extension);
  return found == image_types.end() ? -1 : static_cast<int>(found - image_types.begin());
}

bool has_array_extension(std::string_view path) {
  const std::string type = extension_of(path);
  return type == "npy" || type == "npz";
}

bool has_unread_image_extension(std::string_view path) {
  return among(unread_image_types, extension_of(path));
}

std::string container_named(std::string_view path) {
  return described(kind_named(path));
}

std::string container_at(const std::filesystem::path& path) {
  std::array<char, 32> first{};
  std::ifstream file(path, std::ios::binary);
  file.read(first.data(), first.size());
  const std::string_view begin(first.data(), static_cast<std::size_t>(file.gcount()));
  const auto begins = [&](std::string_view magic) { return begin.starts_with(magic); };
  if (begins("\x1f\x8b"))
    return described(holds_tar(path) ? Container::compressed_tar : Container::gzip);
  if (begins("BZh") ||
      begins("\xfd"
             "7zXZ") ||
      begins("\x28\xb5\x2f\xfd"))
    return described(kind_named(path.native()) == Container::gzip ? Container::gzip
                                                                  : Container::compressed_tar);
  if (begins("PK\3\4") || begins("PK\5\6")) return described(Container::zip);
  if (begins("PAR1")) return described(Container::parquet);
  if (begins("ARROW1")) return described(Container::arrow);
  if (begins("\x89HDF\r\n\x1a\n")) return described(Container::hdf5);
  if (begin.size() >= 20 && begin.substr(16, 4) == "\xde\xc0\xef\xbe")
    return described(Container::lmdb);
  if (begins("7z\xbc\xaf\x27\x1c") || begins("Rar!")) return described(Container::other);
  if (begins("<!DOCTYPE") || begins("<!doctype") || begins("<html"))
    return "is a web page, not data; the download failed";
  const Container named = kind_named(path.native());
  // An Arrow stream has no magic number, nor have TFRecords and an empty database.
  if (named == Container::none || named == Container::arrow || named == Container::records)
    return described(named);
  return "is not what its name says; an incomplete download?";
}

}  // namespace sgmae
