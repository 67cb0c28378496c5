// Element types that tensors in files may have, under safetensors' names. Torch-free, so that file
// headers can be parsed and fuzzed without it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace sgmae {

enum class DType {
  f64,
  f32,
  f16,
  bf16,
  i64,
  i32,
  i16,
  i8,
  u8,
  boolean,
  // Of other programs' files. Such tensors are read and named; no weight of a model has these
  // types.
  u64,
  u32,
  u16,
  f8_e4m3,
  f8_e5m2,
  f8_e4m3fnuz,
  f8_e5m2fnuz,
  f8_e8m0,
  c64
};

struct DTypeInfo {
  DType type;
  std::size_t bytes;  // of one element
  const char* name;   // in safetensors: F32
  const char*
      storage;        // in torch's pickles: FloatStorage; "" where the tensor says its type itself
  const char* torch;  // torch's name: float32
  const char* numpy;  // numpy's descriptor, little-endian: <f4; "" where numpy has none
};

inline constexpr DTypeInfo kDTypes[] = {
    {DType::f64, 8, "F64", "DoubleStorage", "float64", "<f8"},
    {DType::f32, 4, "F32", "FloatStorage", "float32", "<f4"},
    {DType::f16, 2, "F16", "HalfStorage", "float16", "<f2"},
    {DType::bf16, 2, "BF16", "BFloat16Storage", "bfloat16", ""},
    {DType::i64, 8, "I64", "LongStorage", "int64", "<i8"},
    {DType::i32, 4, "I32", "IntStorage", "int32", "<i4"},
    {DType::i16, 2, "I16", "ShortStorage", "int16", "<i2"},
    {DType::i8, 1, "I8", "CharStorage", "int8", "|i1"},
    {DType::u8, 1, "U8", "ByteStorage", "uint8", "|u1"},
    {DType::boolean, 1, "BOOL", "BoolStorage", "bool", "|b1"},
    {DType::u64, 8, "U64", "", "uint64", "<u8"},
    {DType::u32, 4, "U32", "", "uint32", "<u4"},
    {DType::u16, 2, "U16", "", "uint16", "<u2"},
    {DType::f8_e4m3, 1, "F8_E4M3", "", "float8_e4m3fn", ""},
    {DType::f8_e5m2, 1, "F8_E5M2", "", "float8_e5m2", ""},
    {DType::f8_e4m3fnuz, 1, "F8_E4M3FNUZ", "", "float8_e4m3fnuz", ""},
    {DType::f8_e5m2fnuz, 1, "F8_E5M2FNUZ", "", "float8_e5m2fnuz", ""},
    {DType::f8_e8m0, 1, "F8_E8M0", "", "float8_e8m0fnu", ""},
    {DType::c64, 8, "C64", "ComplexFloatStorage", "complex64", "<c8"}};

constexpr const DTypeInfo& info(DType type) {
  return kDTypes[static_cast<std::size_t>(type)];  // the table stands in the order of the enum
}

// The type of which `member` is `text`: find_dtype(&DTypeInfo::name, "F32").
constexpr std::optional<DType> find_dtype(const char* DTypeInfo::*member, std::string_view text) {
  for (const DTypeInfo& entry : kDTypes)
    if (entry.*member == text && !text.empty()) return entry.type;
  return std::nullopt;
}

// Bytes of a tensor of this shape, or nothing where they are more than `limit` or a size is
// negative. No factor is multiplied before it is checked, so that the product cannot overflow; an
// empty tensor has no bytes that could bound its other sizes, so that their product is held below
// 2^40.
constexpr std::optional<std::uint64_t> tensor_bytes(std::uint64_t element_bytes,
                                                    std::span<const std::int64_t> shape,
                                                    std::uint64_t limit) {
  bool empty = false;
  for (const std::int64_t size : shape) empty = empty || size == 0;
  if (empty) limit = std::uint64_t{1} << 40;
  if (element_bytes > limit) return std::nullopt;
  std::uint64_t bytes = element_bytes;
  for (const std::int64_t size : shape) {
    if (size < 0 || static_cast<std::uint64_t>(size) > limit / bytes) return std::nullopt;
    if (size > 0) bytes *= static_cast<std::uint64_t>(size);
  }
  return empty ? 0 : bytes;
}

}  // namespace sgmae
