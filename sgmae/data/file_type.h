// Internal to data/: what a file is, by its name or its first bytes.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace sgmae {

// ASCII letters only.
std::string lower_case(std::string_view text);

// What follows the last dot of the file's name, in lower case; "" where there is none.
std::string extension_of(std::string_view path);

// The types that are read, in any case: jpg jpeg jpe jfif pjpeg pjp webp png bmp dib gif tif tiff,
// heic heif hif avif jxl jp2 j2k jpf jpx jpc.
bool has_image_extension(std::string_view path);

// Their order in that list, for an extension in lower case; -1 for any other.
int image_rank(std::string_view extension);

// NumPy arrays: npy npz.
bool has_array_extension(std::string_view path);

// Formats of images that are known and not read: ppm, psd, exr, raw photos …
bool has_unread_image_extension(std::string_view path);

// What a file is that holds images in a way that is not read (a compressed archive, a zip archive,
// Parquet …), and what to do with it; "" for anything else. By its first bytes.
std::string container_at(const std::filesystem::path& path);

// The same by the name alone.
std::string container_named(std::string_view path);

}  // namespace sgmae
