// Checksums of files: CRC-32C, with the processor's instruction for it where there is one, and the
// checksum that our safetensors files carry. No torch here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace sgmae {

// CRC-32C (Castagnoli) of `bytes`, going on from that of what lies before them.
std::uint32_t crc32c(std::span<const std::uint8_t> bytes, std::uint32_t before = 0);
// The same by tables, for processors without the instruction.
std::uint32_t crc32c_by_table(std::span<const std::uint8_t> bytes, std::uint32_t before = 0);

// A file of ours has among its metadata `crc32c`: the checksum of the whole file, as eight hex
// digits, with zeros in their place. It is a text like others to other readers. A file that they
// wrote again, with the metadata but other bytes, does not match any more.
inline constexpr const char* checksum_key = "crc32c";
inline constexpr const char* checksum_unknown = "00000000";  // to be filled in

std::string checksum_digits(std::uint32_t checksum);
// Where in a safetensors file's header text, a JSON object without blanks, those digits begin.
std::optional<std::size_t> checksum_place(std::string_view header);

enum class Checksum { absent, right, wrong };
// Of a safetensors file; absent too for what is none.
Checksum check_checksum(std::span<const std::uint8_t> file);

// Throws Error(checkpoint), which ends with `cure`, unless the file's bytes are those that were
// written. Files without a checksum, of older versions and other programs, pass.
void require_intact(const std::filesystem::path& path, const std::string& cure);

}  // namespace sgmae
