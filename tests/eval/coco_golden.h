// The golden evaluations of tests/golden/coco_eval.py.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sgmae/data/gz.h"
#include "sgmae/eval/coco_eval_files.h"
#include "tests/data/folder.h"

namespace sgmae {

inline nlohmann::json coco_golden() {
  GzFile file(std::string(SGMAE_TEST_DATA) + "/eval/coco_eval.json.gz");
  std::string text;
  std::vector<std::uint8_t> part(1 << 20);
  for (std::size_t read = file.read(part); read > 0; read = file.read(part))
    text.append(part.begin(), part.begin() + static_cast<std::ptrdiff_t>(read));
  return nlohmann::json::parse(text);
}

inline CocoScores evaluated(const nlohmann::json& truth, const nlohmann::json& results,
                            const CocoEvalOptions& options) {
  const Folder folder;
  folder.write("truth.json", truth.dump());
  folder.write("results.json", results.dump());
  const CocoFile coco(folder.path("truth.json"));
  return evaluate(coco, CocoResults(folder.path("results.json"), coco), options);
}

}  // namespace sgmae
