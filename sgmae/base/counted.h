// Counted things in sentences.
#pragma once

#include <string>

#include "sgmae/base/error.h"

namespace sgmae {

// "1 epoch", "2 epochs", "0 epochs".
template <class Count>
std::string counted(Count count, const std::string& thing, const std::string& things) {
  return str(count, " ", count == 1 ? thing : things);
}

template <class Count>
std::string counted(Count count, const std::string& thing) {
  return counted(count, thing, thing + "s");
}

}  // namespace sgmae
