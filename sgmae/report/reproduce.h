// The command line that makes a run again.
#pragma once

#include <string>
#include <vector>

#include "sgmae/report/run_reader.h"

namespace sgmae {

// The command whose options the run has, by an option that only it has: "pretrain"; "" for others.
std::string command_of(const RunRecord& run);

// The run's command, for a shell: of `sgmae pretrain` with every option that differs from its
// default, of other commands with every option that has a value. "" where the options do not say
// which command it was.
std::string reproducing_command(const RunRecord& run);

// The section of a page: of each run its command, versions and config.toml. "" where nothing of it
// is known.
std::string how_to_reproduce(const std::vector<RunRecord>& runs);

// `text` as one word of a shell command: in single quotes unless it is plain.
std::string shell_word(const std::string& text);

}  // namespace sgmae
