#pragma once

namespace sgmae {

inline constexpr const char* version = "0.1.0";  // as in CMakeLists.txt

}  // namespace sgmae
