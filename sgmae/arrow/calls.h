// Internal to arrow/: Arrow's results become exceptions, and those the sentences that the plug-in
// returns.
#pragma once

#include <arrow/buffer.h>
#include <arrow/io/memory.h>
#include <arrow/result.h>
#include <arrow/status.h>

#include <algorithm>
#include <cstdint>
#include <exception>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>

namespace sgmae {

using Bytes = std::span<const std::uint8_t>;

inline void need(bool condition, const std::string& wrong) {
  if (!condition) throw std::runtime_error(wrong);
}

inline void need(const arrow::Status& status) {
  need(status.ok(), status.message());
}

template <class T>
T value_of(arrow::Result<T> result) {
  need(result.status());
  return std::move(result).ValueUnsafe();
}

template <class Work>
std::string error_of(const Work& work) {
  std::string what;
  try {
    work();
    return "";
  } catch (const std::exception& error) {
    what = error.what();
  }
  what.resize(std::min(what.find('\n'), what.size()));
  if (what.find("crypt") != what.npos)
    return "it is encrypted, or a column of it is; write it again without encryption";
  if (what.find("magic bytes") != what.npos || what.find("minimum file footer") != what.npos)
    return "the end of a Parquet file is missing; an incomplete download?";
  return what.empty() ? "damaged" : what;
}

inline std::shared_ptr<arrow::io::BufferReader> reader_of(Bytes bytes) {
  return std::make_shared<arrow::io::BufferReader>(
      std::make_shared<arrow::Buffer>(bytes.data(), static_cast<std::int64_t>(bytes.size())));
}

}  // namespace sgmae
