// How a forked process ends.
#pragma once

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <iostream>

namespace sgmae {

[[noreturn]] inline void leave(int code) {
#ifdef __SANITIZE_ADDRESS__
  std::exit(code);  // leaks are looked for at exit
#else
  std::cout.flush();
  std::fflush(nullptr);
  _exit(code);  // without LibTorch's destructors, which take 0.1 s
#endif
}

}  // namespace sgmae
