// Random numbers that depend only on what they are for: a counter-based generator (Philox 4x32-10,
// Salmon et al. 2011) keyed by (seed, epoch, image index, purpose). So a draw does not depend on
// the number of workers, on resuming, or on how images are spread over processes.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace sgmae {

// One value per independent use of randomness; never renumber, or old runs resume differently.
enum class Purpose : std::uint32_t {
  initialise = 1,  // model parameters
  shuffle = 2,     // order of images in an epoch
  augment = 3,     // crop box and flip
  mask = 4,        // random masks
  hint = 5,        // hint tokens of informed masks
  probe = 6,       // probe-set choice and its masks
  substitute = 7,  // which image stands in for an unreadable one
  drop_path = 8,
  candidates = 9,  // which anchors and proposals a loss of detection is taken of
  dropout = 10,
  rand_augment = 20,
  random_erase = 21,
  mix = 22,          // mixup and cutmix
  photometric = 23,  // segmentation's changes of colour
  patches = 24,      // which patches of an image stand for it
  second_view = 30   // the second of two views, as augment is of the first
};

class Rng {
 public:
  Rng(std::uint64_t seed, std::uint64_t epoch, std::uint64_t index, Purpose purpose);

  std::uint32_t next();
  double uniform();                                       // in [0, 1), 53 random bits
  float uniform_float();                                  // in [0, 1), 24 random bits
  double uniform(double low, double high);                // in [low, high)
  std::int64_t below(std::int64_t bound);                 // in 0 .. bound-1, without bias
  double normal();                                        // N(0, 1)
  std::vector<std::int64_t> permutation(std::int64_t n);  // of 0 .. n-1

 private:
  std::array<std::uint32_t, 2> key_;
  std::array<std::uint32_t, 4> counter_;
  std::array<std::uint32_t, 4> block_{};
  int used_ = 4;
};

}  // namespace sgmae
