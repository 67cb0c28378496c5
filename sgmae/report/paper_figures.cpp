#include "sgmae/report/paper_figures.h"

#include <algorithm>
#include <array>

#include "sgmae/base/counted.h"
#include "sgmae/base/error.h"
#include "sgmae/report/curves.h"
#include "sgmae/report/markup.h"
#include "sgmae/report/measurements.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

// What a figure or table of the paper shows. Charts say themselves what is good (eval/measure.h);
// `good` is for pictures.
struct PaperFigure {
  std::string name, shows, good;
};

constexpr const char* kBeyond = "Not in the paper";

// In the paper's order, its appendix last.
const std::vector<PaperFigure>& paper_figures() {
  static const std::vector<PaperFigure> all{
      {"Figure 1", "the parts into which the model cuts an image",
       "Good: parts end where things end, and a thing is one part or a few."},
      {"Figure 2", "which patches are alike",
       "Good: M and A have a pattern of their own for each image; an even surface or stripes that "
       "are the same everywhere tell nothing apart."},
      {"Table 1", "how much the patches of an image differ", ""},
      {"Figure 3", "when the parts of an image are told apart", ""},
      {"Figure 4", "what the decoder draws on, visible or mask tokens", ""},
      {"Figure 6", "whether attention depends on who looks", ""},
      {"Figure 7", "how far attention looks, which frequencies tokens carry, what mask tokens hold",
       ""},
      {"Figure II", "object and informed mask, block by block",
       "Good: in later blocks the side called object is the thing one would name, and the mask "
       "hides it but for a few hints."},
      {"Figure III", "patches in the plane", "Good: each colour is a cloud of its own."},
      {"Figure VIII", "how much of the objects is hidden", ""},
      {kBeyond, "objects that are known, attention rollout, reconstruction",
       "Good: CLS comes from the thing in the image, and errors are largest on it rather than on "
       "the background."}};
  return all;
}

// Cards and pictures of one figure.
struct Gathered {
  std::vector<Chart> charts, detailed;
  std::string pictures;
  std::size_t n_pictures = 0;
};

std::string if_any(std::size_t count, const std::string& thing) {
  return count == 0 ? "" : counted(count, thing);
}

std::string folded(const PaperFigure& figure, const Gathered& of) {
  const std::size_t charts =
      static_cast<std::size_t>(std::count_if(of.charts.begin(), of.charts.end(), has_points) +
                               std::count_if(of.detailed.begin(), of.detailed.end(), has_points));
  const std::string holds =
      joined({if_any(charts, "chart"), if_any(of.n_pictures, "picture")}, ", ");
  if (holds.empty()) return "";
  std::string inner = cards(of.charts);
  if (const std::string more = cards(of.detailed); !more.empty())
    inner += fold("By head and block", more);
  if (of.n_pictures > 0 && !figure.good.empty()) inner += text_element("p", figure.good);
  if (of.n_pictures > 0) inner += element("div", {{"class", "grid pictures"}}, of.pictures);
  const std::string summary =
      text_element("strong", figure.name) +
      escape((figure.shows.empty() ? "" : ": " + figure.shows) + " (" + holds + ")");
  return element("details", {{"class", "figure"}}, element("summary", {}, summary) + inner);
}

std::string analysis_of(const RunRecord& run, const fs::path& file, std::set<fs::path>& shown,
                        PictureBox& box) {
  const Measurements m = read_measurements(file);
  std::vector<std::pair<PaperFigure, Gathered>> figures;
  for (const PaperFigure& figure : paper_figures()) figures.emplace_back(figure, Gathered{});
  const auto place = [&](const std::string& paper) -> Gathered& {
    const std::string name = paper.empty() ? kBeyond : figure_of(paper);
    for (auto& [figure, gathered] : figures)
      if (figure.name == name) return gathered;
    return figures.emplace_back(PaperFigure{name, "", ""}, Gathered{}).second;
  };
  for (const MeasuredChart& one : m.charts)
    (one.detailed ? place(one.paper).detailed : place(one.paper).charts).push_back(one.chart);
  for (const MeasuredFigure& picture : m.figures) {
    shown.insert(picture.file.lexically_normal());
    Gathered& gathered = place(picture.paper);
    gathered.pictures += box.picture(picture.file, picture.title, picture.caption);
    ++gathered.n_pictures;
  }
  std::string text = m.images > 0 ? str(m.images, " images") : "";
  if (!m.data.empty()) text = joined({text, "of " + m.data}, " ");
  text = joined({run.name, file.lexically_relative(run.folder).string(), text}, ", ") +
         ". Figures and tables are the paper's. Lines are means over images; shaded is the 95 % "
         "interval of the mean, and Numbers have the spread of single images.";
  std::string out = text_element("p", text, {{"class", "quiet"}});
  for (const std::string& note : m.notes) out += text_element("p", note, {{"class", "warning"}});
  for (const auto& [figure, gathered] : figures) out += folded(figure, gathered);
  return out;
}

}  // namespace

std::string figure_of(const std::string& paper) {
  const std::size_t at = paper.find_first_of("0123456789IVX", paper.find(' '));
  if (!paper.starts_with("Fig") || at == paper.npos) return paper;
  const bool digits = paper[at] >= '0' && paper[at] <= '9';
  const std::size_t end = paper.find_first_not_of(digits ? "0123456789" : "IVX", at);
  return "Figure " + paper.substr(at, end == paper.npos ? end : end - at);
}

std::string analysis(const std::vector<RunRecord>& runs, std::set<fs::path>& shown,
                     PictureBox& box) {
  std::string out;
  for (const RunRecord& run : runs)
    for (const fs::path& file : run.measurements) out += analysis_of(run, file, shown, box);
  return out;
}

}  // namespace sgmae
