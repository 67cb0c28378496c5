#include "sgmae/data/options.h"

namespace sgmae {

void DataOptions::declare(Options& o, const char* what) {
  o.section("data");
  o.add("data_path", data_path, what).may_change_on_resume();
  declare_data_format(o, data_format);
  o.add("data_root", data_root,
        "what paths in a list file are relative to; empty: the list's folder")
      .may_change_on_resume();
  o.add("num_workers", num_workers, "threads that decode images; 0: decode in the main thread")
      .may_change_on_resume();
}

void DataOptions::check() const {
  sgmae::check(num_workers >= 0, ExitCode::usage, "num_workers must not be negative, but is ",
               num_workers);
  sgmae::check(cache_mb >= 0, ExitCode::usage, "cache_mb must not be negative, but is ", cache_mb);
}

}  // namespace sgmae
