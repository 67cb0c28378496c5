// What torch.save writes, taken apart without torch: zip archives, the legacy layout of before
// torch 1.6 and plain pickles of NumPy arrays. Every tensor's bytes are checked to lie within its
// storage, so that the rest is copying (torch_file.h).
#pragma once

#include <cstdint>
#include <deque>
#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "sgmae/io/dtype.h"
#include "sgmae/io/pickle.h"

namespace sgmae {

struct StoredTensor {
  std::string name;  // keys and list positions on the way to it: "optimizer.state.0.exp_avg"
  DType type = DType::f32;
  std::vector<std::int64_t> size, stride;
  std::span<const std::uint8_t> bytes;  // from its first element to its last; empty where size is 0
  bool swapped = false;                 // in the other byte order
};

struct TorchArchive {
  std::vector<StoredTensor> tensors;
  // What is no tensor, in the same nesting: numbers, text, lists, dictionaries; argparse.Namespace
  // as a dictionary. Dictionaries that held nothing but tensors are left out.
  nlohmann::json rest;
  // Classes and functions not known here whose objects the file holds: left out, nothing was run.
  std::set<std::string> unknown;
  enum class Layout { zip, legacy, plain_pickle } layout;

  // Where `bytes` may lie besides the file: unfolded zip entries, arrays within pickles.
  std::deque<std::vector<std::uint8_t>> unfolded;
  Pickle pickle;
};

// Bytes that all tensors together may take, for each byte of the file: more than one, since views
// may share a storage and expanded ones repeat it.
inline constexpr std::uint64_t kMaxUnfolding = 16;

// `file` must outlive the result. Throws Error(checkpoint), which `where` begins.
TorchArchive read_torch_archive(std::span<const std::uint8_t> file, const std::string& where);

}  // namespace sgmae
