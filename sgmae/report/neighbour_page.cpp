#include "sgmae/report/neighbour_page.h"

#include "sgmae/image/encode.h"
#include "sgmae/report/markup.h"

namespace sgmae {

std::string neighbour_page(const std::string& title,
                           const std::vector<NeighbourSection>& sections) {
  std::string body;
  for (const NeighbourSection& section : sections) {
    std::string inner = text_element("h2", section.heading);
    if (!section.text.empty()) inner += text_element("p", section.text);
    const std::string picture =
        embedded_picture(encode_png(view(neighbour_sheet({section.row}, ""))), section.heading);
    inner += element("figure", {{"class", "card"}}, picture) + table_html(section.table);
    body += element("section", {}, inner);
  }
  return page_html(title, "", body);
}

}  // namespace sgmae
