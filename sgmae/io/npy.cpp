#include "sgmae/io/npy.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <cstring>

#include "sgmae/base/file.h"
#include "sgmae/io/npy_header.h"
#include "sgmae/io/tensors.h"

namespace sgmae {

void write_npy(const std::filesystem::path& path, const at::Tensor& tensor) {
  check(tensor.scalar_type() != at::kBFloat16, ExitCode::usage, "cannot write ", path.string(),
        ": NumPy has no bfloat16; write fp32 or a .safetensors file");
  const at::Tensor contiguous = tensor.to(at::kCPU).contiguous();
  AtomicFile file(path);
  file.write(npy_header(dtype_of(contiguous), contiguous.sizes()));
  file.write(contiguous.data_ptr(), contiguous.nbytes());
  file.commit();
}

at::Tensor read_npy(const std::filesystem::path& path) {
  const MappedFile file(path);
  NpyHeader header = parse_npy_header(file.bytes(), path.string());
  // The bytes of a column-major array are those of its transpose in C order.
  if (header.column_major) std::reverse(header.shape.begin(), header.shape.end());
  at::Tensor tensor = at::empty(header.shape, scalar_type(header.type));
  if (!header.data.empty()) std::memcpy(tensor.data_ptr(), header.data.data(), header.data.size());
  if (!header.column_major) return tensor;
  std::vector<std::int64_t> order(header.shape.size());
  for (std::size_t i = 0; i < order.size(); ++i)
    order[i] = static_cast<std::int64_t>(order.size() - 1 - i);
  return tensor.permute(order).contiguous();
}

}  // namespace sgmae
