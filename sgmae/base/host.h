// The machine that we run on.
#pragma once

#include <string>

namespace sgmae {

std::string host_name();

}  // namespace sgmae
