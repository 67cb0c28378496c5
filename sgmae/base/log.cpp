#include "sgmae/base/log.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <mutex>
#include <set>

namespace sgmae {
namespace {

struct LogState {
  std::mutex mutex;
  std::string path;
  std::ofstream file;
  bool quiet = false;
  std::string speaker;  // "": the one that gives information too
  bool status_drawn = false;
  std::set<std::string> said;  // by warn_once
};

LogState& state() {
  static LogState state;
  return state;
}

// A status that wraps could not be erased by going back to the start of its last row.
std::string cut_to_terminal(const std::string& text) {
  struct winsize size {};
  const bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return known ? text.substr(0, size.ws_col - 1u) : text;
}

}  // namespace

bool stderr_is_terminal() {
  static const bool terminal = isatty(STDERR_FILENO) == 1;
  return terminal;
}

void log_line(LogLevel level, const std::string& text) {
  LogState& log = state();
  std::lock_guard lock(log.mutex);
  const bool warning = level == LogLevel::warning;
  if (!warning && !log.speaker.empty()) return;
  const std::string said = log.speaker.empty() ? text : log.speaker + ": " + text;
  const std::string line = warning ? "warning: " + said : said;
  if (warning || !log.quiet) {
    if (log.status_drawn) std::fputs("\r\033[K", stderr);
    log.status_drawn = false;
    std::fprintf(stderr, "%s\n", line.c_str());
  }
  if (log.file.is_open() && !(log.file << line << std::endl)) {
    const std::string reason = std::strerror(errno);
    log.file.close();
    std::fprintf(stderr, "warning: cannot write %s: %s; nothing more is written to it\n",
                 log.path.c_str(), reason.c_str());
  }
}

void set_log_file(const std::string& path) {
  LogState& log = state();
  std::lock_guard lock(log.mutex);
  log.file.close();
  log.file.clear();
  log.path = path;
  log.said.clear();
  if (!path.empty()) log.file.open(path, std::ios::app);
}

void warn_once(const std::string& what, const std::string& text) {
  {
    std::lock_guard lock(state().mutex);
    if (!state().said.insert(what).second) return;
  }
  log_line(LogLevel::warning, text);
}

void set_log_speaker(const std::string& name) {
  std::lock_guard lock(state().mutex);
  state().speaker = name;
}

void set_log_quiet(bool quiet) {
  std::lock_guard lock(state().mutex);
  state().quiet = quiet;
}

void draw_status(const std::string& text) {
  if (!stderr_is_terminal()) return;
  LogState& log = state();
  std::lock_guard lock(log.mutex);
  if (!log.speaker.empty()) return;
  std::fprintf(stderr, "\r\033[K%s", cut_to_terminal(text).c_str());
  std::fflush(stderr);
  log.status_drawn = !text.empty();
}

}  // namespace sgmae
