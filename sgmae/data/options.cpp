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
  o.add("cache_decoded", cache_decoded,
        {{"auto", Keep::automatic}, {"true", Keep::yes}, {"false", Keep::no}},
        "keep images of the training set in memory once they are decoded; auto: where all of them "
        "take no more than an eighth of what is free")
      .may_change_on_resume()
      .is_flag = true;
  o.add("cache_mb", cache_mb,
        "most memory for decoded images, in MB on this process; 0: a quarter of what is free")
      .may_change_on_resume();
}

void DataOptions::check() const {
  sgmae::check(num_workers >= 0, ExitCode::usage, "num_workers must not be negative, but is ",
               num_workers);
  sgmae::check(cache_mb >= 0, ExitCode::usage, "cache_mb must not be negative, but is ", cache_mb);
}

}  // namespace sgmae
