// Sums the gradients of a step over the processes, bucket by bucket while backward still makes the
// others.
//
//   exchange.begin();            // before the last backward pass of a step
//   … backward with ready() …
//   exchange.finish();           // gradients are sums over all processes
//
// A bucket is a piece of the flat gradients and goes off once all of it is final. Buckets go in the
// same order in every process, from the last parameters, whose gradients come first, to the first.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "sgmae/nn/parameter.h"

namespace sgmae {

class GradientExchange {
 public:
  static constexpr std::int64_t bucket_bytes = 25 << 20;

  // `parameters` have flat gradients, keep their place and outlive this.
  explicit GradientExchange(std::vector<Parameter>& parameters,
                            std::int64_t bucket_size = bucket_bytes);

  void begin();
  // To be told to a backward pass; calls are ignored except between begin() and finish().
  GradientsReady ready();
  // Sends what nobody said was final, and waits. To be called by every process, whether or not it
  // had a backward pass.
  void finish();

  std::int64_t buckets() const { return static_cast<std::int64_t>(buckets_.size()); }
  std::int64_t sent() const { return static_cast<std::int64_t>(sent_); }  // of this step

 private:
  struct Bucket {
    at::Tensor gradients;      // [values] a piece of the flat ones
    std::int64_t parameters;   // trained ones in it
    std::int64_t missing = 0;  // of them not yet final
  };
  void send_final();

  std::vector<Parameter>& parameters_;
  std::vector<Bucket> buckets_;         // in the order in which they are sent
  std::vector<std::size_t> bucket_of_;  // by parameter
  std::size_t sent_ = 0;
  bool open_ = false;
  std::vector<std::function<void()>> waits_;
};

}  // namespace sgmae
