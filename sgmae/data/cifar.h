// Internal to data/: CIFAR's records.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace sgmae {

inline constexpr int cifar_side = 32;
inline constexpr std::size_t cifar_values = 3 * cifar_side * cifar_side;  // of an image

struct CifarImages {
  std::vector<std::uint8_t> pixels;  // [images, 32, 32, 3]
  std::vector<std::int64_t> labels;
};

// Adds one image: `planes` [3, 32, 32].
void add_cifar_image(std::span<const std::uint8_t> planes, std::int64_t label, CifarImages& images);

// Adds the records of a binary batch: `label_bytes` bytes, of which the last is the label (CIFAR-10
// has one, CIFAR-100 the coarse and the fine one), then the planes. Throws Error(data), naming
// `where`, unless there is a whole number of them, and at least one.
void add_cifar_records(std::span<const std::uint8_t> bytes, std::size_t label_bytes,
                       const std::string& where, CifarImages& images);

}  // namespace sgmae
