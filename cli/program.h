// The program as a function, so that tests can run it in a process that has LibTorch loaded.
#pragma once

#include <string>
#include <vector>

namespace sgmae {

// Finds the command, reads its options, runs it, and turns errors into messages on stderr and exit
// codes, which it returns (docs/architecture.md, "Exit codes").
int run_program(const std::vector<std::string>& arguments);

}  // namespace sgmae
