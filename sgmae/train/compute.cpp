#include "sgmae/train/compute.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <iterator>
#include <latch>
#include <system_error>
#include <thread>

#include "sgmae/base/instruction_set.h"
#include "sgmae/base/threads.h"
#include "sgmae/nn/ops.h"
#include "sgmae/parallel/process_group.h"

namespace sgmae {

void ComputeOptions::declare(Options& o) {
  o.add("device", device,
        "cpu; cuda, the first NVIDIA GPU, of several processes one each; or cuda:N")
      .may_change_on_resume();
  o.add("precision", precision,
        {{"auto", PrecisionChoice::automatic},
         {"fp32", PrecisionChoice::fp32},
         {"bf16", PrecisionChoice::bf16}},
        "of matrix products; auto: bf16 on a GPU and where the processor has instructions for it")
      .may_change_on_resume();
  o.add("threads", threads,
        "threads that compute; 0: one per processor, shared out among the processes of a machine")
      .may_change_on_resume();
}

void ComputeOptions::check() const {
  sgmae::check(threads >= 0, ExitCode::usage, "threads must not be negative, but is ", threads);
}

Precision choose_precision(PrecisionChoice choice, at::Device device) {
  if (choice == PrecisionChoice::automatic && !device.is_cpu()) return Precision::bf16;
  if (choice == PrecisionChoice::automatic)
    return instruction_set() >= InstructionSet::avx512_bf16 ? Precision::bf16 : Precision::fp32;
  return choice == PrecisionChoice::bf16 ? Precision::bf16 : Precision::fp32;
}

std::string compute_name(const Encoder& encoder) {
  const at::Device device = encoder.device();
  return str(device.is_cpu() ? str(at::get_num_threads(), " threads") : device.str(), ", ",
             name_of(encoder.precision()));
}

namespace {

std::ptrdiff_t threads_alive() {
  std::error_code ignored;  // 0 where there is no /proc
  return std::distance(std::filesystem::directory_iterator("/proc/self/task", ignored), {});
}

// How many of `wanted` more threads LibTorch can have. It keeps two pools of them, OpenMP's and
// another that set_num_threads() starts.
int threads_granted(int wanted) {
  const std::ptrdiff_t before = threads_alive();
  std::latch counted(1);
  const auto wait = [&counted] { counted.wait(); };
  Threads one(wanted, wait), other(wanted, wait);
  const int granted = (one.count() + other.count()) / 2;
  counted.count_down();
  one.join();
  other.join();
  // A thread that was joined counts against the limit for some microseconds more.
  for (int tries = 0; tries < 100 && threads_alive() > before; ++tries)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return granted;
}

}  // namespace

void use_threads(int threads) {
  keep_freed_memory();
  const int wanted = threads > 0 ? useful_threads(threads) : processes().processors();
  // OpenMP ends the program when it cannot start a thread. So it is tried who can be started, and
  // OpenMP's are started now, before anybody else takes their place.
  const int granted = 1 + threads_granted(wanted - 1);
  at::set_num_threads(granted);
  at::parallel_for(0, granted, 1, [](std::int64_t, std::int64_t) {});
}

}  // namespace sgmae
