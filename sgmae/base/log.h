// Messages for people. They go to stderr (stdout is for --json) and, once a run folder is open, to
// its train.log.
#pragma once

#include <string>

#include "sgmae/base/error.h"

namespace sgmae {

enum class LogLevel { info, warning };

void log_line(LogLevel level, const std::string& text);

// Copies every later line to this file too (appending); an empty path closes it. Where it cannot be
// written (full disk), that is said once and the file ends.
void set_log_file(const std::string& path);

// The same while it lives.
struct LogFile {
  explicit LogFile(const std::string& path) { set_log_file(path); }
  ~LogFile() { set_log_file(""); }
  LogFile(const LogFile&) = delete;
  LogFile& operator=(const LogFile&) = delete;
};

// Of several processes that work together the first one speaks. Another gives only warnings, with
// its `name`; "": the first.
void set_log_speaker(const std::string& name);

// Discards info lines on stderr; warnings and the log file stay. For tests.
void set_log_quiet(bool quiet);

template <class... Args>
void info(const Args&... message) {
  log_line(LogLevel::info, str(message...));
}

template <class... Args>
void warn(const Args&... message) {
  log_line(LogLevel::warning, str(message...));
}

// A warning that comes up again and again, once: until another log file is set, which is to say
// once in a run, one warning is given for `what`.
void warn_once(const std::string& what, const std::string& text);
inline void warn_once(const std::string& text) {
  warn_once(text, text);
}

// A line that is redrawn in place on a terminal, cut to its width (one byte a letter). An ordinary
// message first erases it.
// Does nothing when stderr is not a terminal.
void draw_status(const std::string& text);
bool stderr_is_terminal();

}  // namespace sgmae
