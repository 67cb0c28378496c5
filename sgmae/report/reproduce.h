// The command line that makes a run again.
#pragma once

#include <string>

#include "sgmae/report/run_reader.h"

namespace sgmae {

// `sgmae pretrain` with every option that differs from its default, written for a shell. For the
// folder of another command, or options that this version does not know, a command that reads the
// run's config.toml. "" for a run without options.
std::string reproducing_command(const RunRecord& run);

// `text` as one word of a shell command: in single quotes unless it is plain.
std::string shell_word(const std::string& text);

}  // namespace sgmae
