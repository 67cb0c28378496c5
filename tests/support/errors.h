// The errors that actions throw.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "sgmae/base/error.h"

namespace sgmae {

// The message of the Error(code) that `action` throws.
template <class Action>
std::string error_of(ExitCode code, const Action& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "no error";
  return "";
}

// The code of the Error that `action` throws, `done` for none, and its message.
template <class Action>
ExitCode exit_code(const Action& action, std::string* message = nullptr) {
  try {
    action();
  } catch (const Error& error) {
    if (message) *message = error.what();
    return error.code();
  }
  return ExitCode::done;
}

}  // namespace sgmae
