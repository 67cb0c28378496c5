// Sums the gradients of a step over the processes, bucket by bucket while backward still makes the
// others.
//
//   exchange.begin();            // before the last backward pass of a step
//   … backward with ready() …
//   exchange.finish();           // gradients are sums over all processes
//   … a step of the optimizer …
//   exchange.spread_values();    // all have what each has stepped
//
// A bucket is a piece of the flat gradients and goes off once all of it is final. Buckets go in the
// same order in every process, from the last parameters, whose gradients come first, to the first.
//
// For a sharded optimizer the sums go to the processes that step them, and the values come back
// (ZeRO stage 1 and 2 of Rajbhandari et al. 2020). Where the processes share a machine and train on
// its processors, nothing is sent: there is one copy of the values, which all read, and each
// process adds up its shard of everybody's gradients where they lie.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "sgmae/nn/config.h"
#include "sgmae/nn/parameter.h"
#include "sgmae/parallel/shard.h"

namespace sgmae {

struct ExchangeOptions {
  bool sharded = false;
  bool common_memory = true;              // where there is any; false: send as between machines
  Precision precision = Precision::fp32;  // of what is sent and summed; values go in fp32
  std::int64_t bucket_bytes = 25 << 20;
};

class GradientExchange {
 public:
  static constexpr std::int64_t bucket_bytes = ExchangeOptions{}.bucket_bytes;

  // `parameters` have flat gradients, keep their place and outlive this. Sharded they get other
  // tensors for values and gradients, these zero, which their model must then be told
  // (Learner::changed).
  explicit GradientExchange(std::vector<Parameter>& parameters, ExchangeOptions options = {});

  void begin();
  // To be told to a backward pass; calls are ignored except between begin() and finish().
  GradientsReady ready();
  // Sends what nobody said was final, and waits. To be called by every process, whether or not it
  // had a backward pass. Sharded, gradients that are not this process's are zero once all have
  // finished.
  void finish();
  // Sharded, brings everybody the values that each process has stepped.
  void spread_values();

  bool sharded() const { return options_.sharded; }
  // The summed gradients of this process: all of them, or its shard. [values]
  at::Tensor own_gradients() const;

  std::int64_t buckets() const { return static_cast<std::int64_t>(buckets_.size()); }
  std::int64_t sent() const { return static_cast<std::int64_t>(sent_); }  // of this step

 private:
  struct Bucket {
    Shard place;               // in flat memory
    int owner;                 // who steps it
    std::int64_t missing = 0;  // parameters in it that are not yet final
  };
  void move_values_and_gradients();
  void make_buckets();
  void send_final();
  void send(const Bucket& bucket);
  void add_up_own();

  std::vector<Parameter>& parameters_;
  ExchangeOptions options_;
  Shard own_;
  at::Tensor gradients_, values_;   // flat; values_ where sharded
  std::vector<at::Tensor> common_;  // everybody's gradients by rank, where there is common memory
  std::vector<Bucket> buckets_;     // in the order in which they are sent
  std::vector<Shard> buckets_of_;   // by parameter
  std::size_t sent_ = 0;
  bool open_ = false;
  std::vector<std::function<void()>> waits_;
};

}  // namespace sgmae
