// Collectives among GPUs (parallel/device_exchange.h) by NCCL, which comes with LibTorch's CUDA
// libraries. Part of the plug-in that graph.cpp tells of.
#include <ATen/cuda/CUDAEvent.h>
#include <c10/cuda/CUDAGuard.h>
#include <nccl.h>

#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>

#include "sgmae/base/error.h"
#include "sgmae/parallel/device_exchange.h"

namespace sgmae {
namespace {

void check(ncclResult_t result, const char* what) {
  if (result != ncclSuccess && result != ncclInProgress)
    throw std::runtime_error(str("NCCL cannot ", what, ": ", ncclGetErrorString(result), "; ",
                                 ncclGetLastError(nullptr)));
}

ncclDataType_t type_of(const at::Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case at::kFloat:
      return ncclFloat32;
    case at::kBFloat16:
      return ncclBfloat16;
    default:
      throw std::runtime_error(std::string("NCCL is not used for ") +
                               c10::toString(tensor.scalar_type()));
  }
}

class Nccl : public DeviceExchange {
 public:
  Nccl(const std::string& meeting, int rank, int size, at::Device device)
      : device_(device),
        stream_(c10::cuda::getStreamFromPool(/*isHighPriority=*/true, device.index())) {
    const c10::cuda::CUDAGuard guard(device_);
    ncclUniqueId id;
    if (meeting.size() != sizeof id) throw std::runtime_error("NCCL was told of no meeting");
    std::memcpy(&id, meeting.data(), sizeof id);
    check(ncclCommInitRank(&group_, size, id, rank), "bring the GPUs together");
  }
  ~Nccl() override {
    if (group_) ncclCommDestroy(group_);
  }

  Done sum(const at::Tensor& t) override {
    return queue(
        "sum",
        [&](void* data, std::size_t count, cudaStream_t stream) {
          return ncclAllReduce(data, data, count, type_of(t), ncclSum, group_, stream);
        },
        t);
  }
  Done sum_in(int owner, const at::Tensor& t) override {
    return queue(
        "sum",
        [&](void* data, std::size_t count, cudaStream_t stream) {
          return ncclReduce(data, data, count, type_of(t), ncclSum, owner, group_, stream);
        },
        t);
  }
  Done copy(int from, const at::Tensor& t) override {
    return queue(
        "copy",
        [&](void* data, std::size_t count, cudaStream_t stream) {
          return ncclBroadcast(data, data, count, type_of(t), from, group_, stream);
        },
        t);
  }

  void abort() override {
    if (group_) ncclCommAbort(group_);
    group_ = nullptr;
  }

 private:
  // On a stream of its own, so that the rest of a backward pass goes on beside it.
  template <class Call>
  Done queue(const char* what, const Call& call, const at::Tensor& tensor) {
    const c10::cuda::CUDAGuard guard(device_);
    at::cuda::CUDAEvent made;
    made.record(c10::cuda::getCurrentCUDAStream(device_.index()));
    made.block(stream_);
    check(call(tensor.data_ptr(), static_cast<std::size_t>(tensor.numel()), stream_.stream()),
          what);
    const auto end = std::make_shared<at::cuda::CUDAEvent>();
    end->record(stream_);
    return [this, end, what] {
      ncclResult_t state = ncclSuccess;
      check(ncclCommGetAsyncError(group_, &state), what);
      check(state, what);
      return end->query();
    };
  }

  at::Device device_;
  c10::cuda::CUDAStream stream_;
  ncclComm_t group_ = nullptr;
};

std::string new_meeting() {
  ncclUniqueId id;
  check(ncclGetUniqueId(&id), "open a meeting");
  return {id.internal, sizeof id.internal};
}

std::unique_ptr<DeviceExchange> join(const std::string& meeting, int rank, int size,
                                     at::Device device) {
  return std::make_unique<Nccl>(meeting, rank, size, device);
}

constexpr DeviceExchangeApi api{&new_meeting, &join};

}  // namespace
}  // namespace sgmae

extern "C" __attribute__((visibility("default"))) const sgmae::DeviceExchangeApi*
sgmae_device_exchange_api() {
  return &sgmae::api;
}
