// The processes that train together. A program that is alone is a group of one, in which all of
// this does nothing.
//
//   const Joined joined(options.launch.membership(), timeout);  // waits for the others
//   processes().sum(gradients);
//
// Calls are collective: every process makes the same ones in the same order. They end with an Error
// (ExitCode::process_lost) that says which process is gone, and why where that is known, once one
// of them ends or does not answer for the timeout. The exchange is c10d's Gloo, of which no other
// file knows, and among GPUs what DeviceExchange is.
#pragma once

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sgmae/parallel/device_exchange.h"
#include "sgmae/parallel/membership.h"

namespace sgmae {

class ProcessGroup {
 public:
  ProcessGroup();  // of one
  // Waits for all to come. Throws Error(process_lost), naming those that did not.
  ProcessGroup(const Membership& membership, std::chrono::milliseconds timeout);
  ~ProcessGroup();
  ProcessGroup(ProcessGroup&&) noexcept;
  ProcessGroup& operator=(ProcessGroup&&) noexcept;

  int rank() const { return membership_.rank; }
  int size() const { return membership_.size; }
  bool leads() const { return rank() == 0; }  // the one that writes and speaks
  int local_rank() const { return std::max(0, membership_.local_rank); }
  // Processors for this one, beside others of the group that run on the same.
  int processors() const { return processors_; }
  bool on_one_machine() const;
  std::string name(int rank) const;  // "process 3 (4711 on node7)"

  // From now on tensors on `device` are summed and copied there, by `api`. Where one of the
  // processes has none, for the reason `why`, or wants none (Membership::gpus_meet), all go on
  // through the CPU, which is said. Throws Error(usage) where the devices do not come together.
  void meet_on(at::Device device, const DeviceExchangeApi* api, const std::string& why);
  // The same by open_device_exchange(), which has none for the CPU.
  void meet_on(at::Device device);
  // Where a tensor on `device` must lie to be summed or copied: there, or on the CPU.
  at::Device meeting_place(at::Device device) const;

  // The sum over all, in place of a contiguous tensor at its meeting place: on the CPU float,
  // double or int64, of the same shape everywhere. All get the same bits, and the same group gets
  // them again.
  void sum(const at::Tensor& tensor);
  // The same while the caller goes on; the result waits for it, and the tensor is untouched till
  // then.
  std::function<void()> begin_sum(const at::Tensor& tensor);
  double sum(double value);
  // The sum in process `owner` alone, in place; the tensor is spoilt in the others. Likewise begun.
  std::function<void()> begin_sum_in(int owner, const at::Tensor& tensor);
  // That of process `from`, over everybody's. Likewise begun.
  std::function<void()> begin_copy(int from, const at::Tensor& tensor);

  // Everybody's, by rank; dimensions but the first are the same everywhere.
  std::vector<at::Tensor> gather(const at::Tensor& part);
  std::vector<std::string> gather(const std::string& part);
  // Everybody's shard [its size] (shard_of) of `count` numbers in one tensor, in process 0;
  // undefined in the others.
  at::Tensor gather_shards(const at::Tensor& own, std::int64_t count);
  // Process 0's.
  std::string of_leader(const std::string& text);

  // Back when all have come here.
  void wait_for_all();
  // `work` on every process, and back when all are done. What one of them throws ends it for all:
  // an Error as one of the same code that names the process, StopRequested as itself.
  void together(const std::function<void()>& work);
  // The same of work that only process 0 does.
  void leader(const std::function<void()>& work);

  // Tells the others why they will not hear from this process again.
  void leave(const std::string& reason);

 private:
  struct Exchange;
  template <class There, class Here>
  std::function<void()> start(const at::Tensor& tensor, const There& on_device, const Here& on_cpu);

  Membership membership_;
  int processors_ = 1;
  std::unique_ptr<Exchange> exchange_;  // null in a group of one
};

// That of this program; of one unless it has joined others.
ProcessGroup& processes();

// A member of a group while it lives.
class Joined {
 public:
  Joined(const Membership& membership, std::chrono::milliseconds timeout);
  ~Joined();
  Joined(const Joined&) = delete;
  Joined& operator=(const Joined&) = delete;
};

}  // namespace sgmae
