// Which class was taken for which, of a result.json that has a "confusion": of images
// (tasks/classifier.h), pixels (tasks/segment.h) or objects (tasks/detect.h). Anything else in its
// place is left out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "sgmae/report/blocks.h"

namespace sgmae {

struct Confusion {
  enum class Counted { images, pixels, objects };
  // Of objects class names.size() is none: background that was taken for an object, or an object
  // that was missed.
  struct Cell {
    std::size_t truth = 0, seen = 0;
    std::int64_t count = 0;
  };

  Counted counted = Counted::images;
  std::vector<std::string> names;
  std::vector<Cell> cells;             // those with a count, each place once
  std::vector<std::int64_t> of_truth;  // [names + 1] counts of a true class in all

  std::size_t side() const { return names.size() + (counted == Counted::objects ? 1 : 0); }
  double share(const Cell& cell) const;  // of its true class
  std::string truth_name(std::size_t truth) const;
  std::string seen_name(std::size_t seen) const;
};

// Nothing where a result has none.
std::optional<Confusion> read_confusion(const nlohmann::ordered_json& result);

// The most frequent mistakes, one a row, at most `most`.
Table mistakes(const Confusion& confusion, std::size_t most);

// The matrix, true classes down and predicted ones across, with a colour bar. What a place holds is
// said when it is pointed at; of few classes the share, or number of objects, also stands in it. Of
// many classes some are named along the axes, and no more than 3000 places are drawn, those of the
// greatest shares.
std::string confusion_svg(const Confusion& confusion);

// A card: what is counted, the worst mistakes in words, the matrix, and the mistakes to unfold.
std::string confusion_card(const Confusion& confusion);

}  // namespace sgmae
