// What two runs of pre-training left, held against each other to the bit.
#pragma once

#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "sgmae/io/safetensors.h"
#include "sgmae/train/checkpoint.h"
#include "sgmae/train/checkpoint_store.h"
#include "tests/support/log_lines.h"

namespace sgmae {

// Every tensor of a run's newest state: the model's moments, what trains beside it, its moments.
inline NamedTensors newest_state(const std::filesystem::path& run) {
  const std::filesystem::path folder = run / "checkpoints";
  return read_safetensors(folder / list_checkpoints(folder, true).back().state()).tensors;
}

inline void expect_same_bits(const std::filesystem::path& one, const std::filesystem::path& other) {
  const NamedTensors a = newest_state(one), b = newest_state(other);
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i)
    EXPECT_TRUE(at::equal(a[i].second, b[i].second)) << a[i].first;
  EXPECT_EQ(model_hash(load_mae(one).model), model_hash(load_mae(other).model));
  EXPECT_EQ(timeless_log(one), timeless_log(other));
}

}  // namespace sgmae
