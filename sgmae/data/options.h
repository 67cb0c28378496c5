// Which data set, and how it is read.
#pragma once

#include <cstdint>
#include <string>

#include "sgmae/base/options.h"
#include "sgmae/data/source.h"

namespace sgmae {

struct DataOptions {
  std::string data_path;  // a folder, file or archive that open_source() knows
  DataFormat data_format = DataFormat::automatic;
  std::string data_root;  // what the paths of a list file are relative to ("": the list's folder)
  int num_workers = 2;    // decoding threads
  // Whether images of a training set, once decoded, stay in memory (kept_source.h), and in how much
  // of it at most; 0: docs/data.md has the rule.
  enum class Keep { automatic, yes, no };
  Keep cache_decoded = Keep::automatic;
  std::int64_t cache_mb = 0;

 protected:
  void declare(Options& options, const char* what);  // section [data]; `what` lies at data_path
  void check() const;                                // throws Error(usage)
};

}  // namespace sgmae
