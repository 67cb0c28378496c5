#include "sgmae/base/error.h"

#include <iomanip>

namespace sgmae {

std::string fixed(double value, int digits) {
  std::ostringstream out;
  out << std::fixed << std::setprecision(digits) << value;
  return out.str();
}

void assertion_failed(const char* condition, const char* file, int line) {
  throw std::logic_error(str("bug: ", condition, " does not hold at ", file, ":", line));
}

}  // namespace sgmae
