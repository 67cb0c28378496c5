#include "sgmae/train/console.h"

#include <sys/resource.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <vector>

#include "sgmae/base/log.h"

namespace sgmae {
namespace {

std::int64_t peak_process_memory() {
  struct rusage usage {};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss * 1024;
}

template <class... Args>
std::string format(const char* pattern, Args... args) {
  char text[512];
  std::snprintf(text, sizeof text, pattern, args...);
  return text;
}

}  // namespace

void Meter::add(double value) {
  recent_.push_back(value);
  if (recent_.size() > 20) recent_.pop_front();
  sum_ += value;
  ++count_;
}

double Meter::median() const {
  if (recent_.empty()) return 0;
  std::vector<double> sorted(recent_.begin(), recent_.end());
  const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>((sorted.size() - 1) / 2);
  std::nth_element(sorted.begin(), middle, sorted.end());
  return *middle;
}

double Meter::mean() const {
  return count_ ? sum_ / static_cast<double>(count_) : 0;
}

std::string clock_text(double seconds) {
  const auto whole = static_cast<long long>(std::max(0.0, seconds));
  return format("%lld:%02lld:%02lld", whole / 3600, whole / 60 % 60, whole % 60);
}

double EpochConsole::images_per_second() const {
  return time.mean() > 0 ? static_cast<double>(images_per_batch) / time.mean() : 0;
}

double EpochConsole::data_wait() const {
  return time.mean() > 0 ? data.mean() / time.mean() : 0;
}

std::string EpochConsole::line(std::int64_t batch) const {
  const int width = static_cast<int>(std::to_string(batches).size());
  const std::int64_t memory = device_memory > 0 ? device_memory : peak_process_memory();
  const double eta = time.mean() * static_cast<double>(batches - batch - 1);
  const double run_eta = eta + time.mean() * static_cast<double>((epochs - epoch - 1) * batches);
  return format(
      "Epoch: [%lld]  [%*lld/%lld]  eta: %s  lr: %.6f  loss: %.4f (%.4f)  time: %.4f  "
      "data: %.4f  "
      "max mem: %lld  img/s: %.1f  TFLOP/s: %.3f  data wait: %.1f %%  run: %s left",
      static_cast<long long>(epoch + 1), width, static_cast<long long>(batch),
      static_cast<long long>(batches), clock_text(eta).c_str(), lr, loss.median(), loss.mean(),
      time.median(), data.median(), static_cast<long long>(memory >> 20), images_per_second(),
      images_per_second() * flop_per_image * 1e-12, 100 * data_wait(), clock_text(run_eta).c_str());
}

std::string EpochConsole::bar(std::int64_t done) const {
  constexpr int width = 24;
  const int filled = static_cast<int>(width * done / std::max<std::int64_t>(1, batches));
  const double left = static_cast<double>((epochs - epoch) * batches - done);
  return format(
      "epoch %lld/%lld [%s%s] %lld/%lld  loss %.4f  lr %.2e  %.0f img/s  %.3f TFLOP/s  "
      "data wait %.0f %%  %s left",
      static_cast<long long>(epoch + 1), static_cast<long long>(epochs),
      std::string(static_cast<std::size_t>(filled), '#').c_str(),
      std::string(static_cast<std::size_t>(width - filled), '.').c_str(),
      static_cast<long long>(done), static_cast<long long>(batches), loss.median(), lr,
      images_per_second(), images_per_second() * flop_per_image * 1e-12, 100 * data_wait(),
      clock_text(time.mean() * left).c_str());
}

void EpochConsole::show(std::int64_t done) const {
  const std::int64_t batch = done - 1;
  if (done == batches || (!stderr_is_terminal() && batch % log_every == 0))
    info(line(batch));
  else
    draw_status(bar(done));  // nothing where there is no terminal
}

}  // namespace sgmae
