// Errors that reach the user. Each carries the exit code of the program and a message that says
// what is wrong, where, and how to mend it. Bugs of ours use SGMAE_ASSERT instead.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

namespace sgmae {

enum class ExitCode {
  done = 0,
  usage = 2,         // wrong usage or configuration
  data = 3,          // bad images, folders, labels
  checkpoint = 4,    // bad checkpoint or model file
  diverged = 5,      // training diverged and could not be rolled back
  disk_full = 6,     // no room left to write what was asked for
  process_lost = 7,  // another process of the run ended or does not answer
  interrupted = 130  // stopped by a signal, checkpoint written
};

class Error : public std::runtime_error {
 public:
  Error(ExitCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ExitCode code() const { return code_; }

 private:
  ExitCode code_;
};

// Concatenates its arguments as operator<< prints them: str("epoch ", 3, " of ", 10).
template <class... Args>
std::string str(const Args&... args) {
  std::ostringstream out;
  (out << ... << args);
  return out.str();
}

// `value` with `digits` after the point: fixed(0.4567, 2) is "0.46".
std::string fixed(double value, int digits);

template <class... Args>
[[noreturn]] void fail(ExitCode code, const Args&... message) {
  throw Error(code, sgmae::str(message...));  // qualified: c10 has a str() too
}

// What a user did wrong: throws Error unless `condition` holds.
template <class... Args>
void check(bool condition, ExitCode code, const Args&... message) {
  if (!condition) fail(code, message...);
}

[[noreturn]] void assertion_failed(const char* condition, const char* file, int line);

}  // namespace sgmae

// What would be a bug of ours. Throws std::logic_error.
#define SGMAE_ASSERT(condition) \
  ((condition) ? (void)0 : ::sgmae::assertion_failed(#condition, __FILE__, __LINE__))
