// Sheets of neighbours as a page for a browser: sgmae search and duplicates with --html.
#pragma once

#include <string>
#include <vector>

#include "sgmae/eval/neighbour_sheet.h"
#include "sgmae/report/blocks.h"

namespace sgmae {

struct NeighbourSection {
  std::string heading;
  std::string text;  // a sentence below it; "" for none
  NeighbourRow row;
  Table table;  // whose paths may be copied
};

// Self-contained, as a report is.
std::string neighbour_page(const std::string& title, const std::vector<NeighbourSection>& sections);

}  // namespace sgmae
