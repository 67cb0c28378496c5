#include "sgmae/base/progress.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "sgmae/base/log.h"

namespace sgmae {
namespace {

constexpr double silent_seconds = 5, log_seconds = 30, redraw_seconds = 0.2;

// "12 s", "3 min", "2 h 5 min": as exact as such a guess is.
std::string about(double seconds) {
  const auto whole = static_cast<std::int64_t>(std::ceil(seconds));
  if (whole < 100) return str(whole, " s");
  const std::int64_t minutes = (whole + 30) / 60;
  if (minutes < 100) return str(minutes, " min");
  return str(minutes / 60, " h ", minutes % 60, " min");
}

}  // namespace

std::string progress_text(const std::string& what, std::int64_t done, std::int64_t total,
                          double seconds) {
  const std::string so_far = str(what, ": ", done, "/", total);
  if (done <= 0 || done >= total) return so_far;
  return so_far +
         str(", ", about(seconds * static_cast<double>(total - done) / static_cast<double>(done)),
             " left");
}

Progress::Progress(std::string what, std::int64_t total, double (*now)())
    : what_(std::move(what)),
      total_(total),
      now_(now),
      begun_(now()),
      next_(begun_ + (stderr_is_terminal() ? silent_seconds : log_seconds)) {}

Progress::~Progress() {
  if (drawn_) draw_status("");
}

void Progress::show(std::int64_t done) {
  const double now = now_();
  if (now < next_) return;
  const std::lock_guard lock(mutex_);
  if (now < next_) return;  // another thread has just shown it
  const std::string text = progress_text(what_, std::min(done, total_), total_, now - begun_);
  if (stderr_is_terminal()) {
    drawn_ = true;
    draw_status(text);
    next_ = now + redraw_seconds;
  } else {
    info(text);
    next_ = now + log_seconds;
  }
}

}  // namespace sgmae
