#pragma once

namespace sgmae {

inline constexpr const char* version = "0.1.0";  // as in CMakeLists.txt

// The git commit that was built, "1f3a… with changes" where files differed from it, "" outside a
// repository (cmake/commit.cmake).
extern const char* const build_commit;

}  // namespace sgmae
