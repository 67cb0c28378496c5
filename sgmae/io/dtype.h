// Element types that tensors in files may have, under safetensors' names. Torch-free, so that file
// headers can be parsed and fuzzed without it.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace sgmae {

enum class DType { f64, f32, f16, bf16, i64, i32, i16, i8, u8, boolean };

struct DTypeInfo {
  DType type;
  std::size_t bytes;    // of one element
  const char* name;     // in safetensors: F32
  const char* storage;  // in torch's pickles: FloatStorage
  const char* numpy;    // numpy's descriptor, little-endian: <f4; "" where numpy has none
};

inline constexpr DTypeInfo kDTypes[] = {{DType::f64, 8, "F64", "DoubleStorage", "<f8"},
                                        {DType::f32, 4, "F32", "FloatStorage", "<f4"},
                                        {DType::f16, 2, "F16", "HalfStorage", "<f2"},
                                        {DType::bf16, 2, "BF16", "BFloat16Storage", ""},
                                        {DType::i64, 8, "I64", "LongStorage", "<i8"},
                                        {DType::i32, 4, "I32", "IntStorage", "<i4"},
                                        {DType::i16, 2, "I16", "ShortStorage", "<i2"},
                                        {DType::i8, 1, "I8", "CharStorage", "|i1"},
                                        {DType::u8, 1, "U8", "ByteStorage", "|u1"},
                                        {DType::boolean, 1, "BOOL", "BoolStorage", "|b1"}};

constexpr const DTypeInfo& info(DType type) {
  return kDTypes[static_cast<std::size_t>(type)];  // the table stands in the order of the enum
}

// The type of which `member` is `text`: find_dtype(&DTypeInfo::name, "F32").
constexpr std::optional<DType> find_dtype(const char* DTypeInfo::*member, std::string_view text) {
  for (const DTypeInfo& entry : kDTypes)
    if (entry.*member == text && !text.empty()) return entry.type;
  return std::nullopt;
}

}  // namespace sgmae
