// ADE20K as the scene parsing challenge has it (ADEChallengeData2016): 150 classes, and 0 for all
// else.
#include <sstream>

#include "sgmae/base/error.h"
#include "sgmae/base/file.h"
#include "sgmae/data/annotated_formats.h"
#include "sgmae/data/files.h"
#include "sgmae/data/labels.h"
#include "sgmae/data/segmented_formats.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t classes = 150;

// In the order of their numbers, from 1.
constexpr const char* names =
    "wall,building,sky,floor,tree,ceiling,road,bed,windowpane,grass,cabinet,sidewalk,person,earth,"
    "door,table,mountain,plant,curtain,chair,car,water,painting,sofa,shelf,house,sea,mirror,rug,"
    "field,armchair,seat,fence,desk,rock,wardrobe,lamp,bathtub,railing,cushion,base,box,column,"
    "signboard,chest of drawers,counter,sand,sink,skyscraper,fireplace,refrigerator,grandstand,"
    "path,stairs,runway,case,pool table,pillow,screen door,stairway,river,bridge,bookcase,blind,"
    "coffee table,toilet,flower,book,hill,bench,countertop,stove,palm,kitchen island,computer,"
    "swivel chair,boat,bar,arcade machine,hovel,bus,towel,light,truck,tower,chandelier,awning,"
    "streetlight,booth,television receiver,airplane,dirt track,apparel,pole,land,bannister,"
    "escalator,ottoman,bottle,buffet,poster,stage,van,ship,fountain,conveyer belt,canopy,washer,"
    "plaything,swimming pool,stool,barrel,basket,waterfall,tent,bag,minibike,cradle,oven,ball,food,"
    "step,tank,trade name,microwave,pot,animal,bicycle,lake,dishwasher,screen,blanket,sculpture,"
    "hood,sconce,vase,traffic light,tray,ashcan,fan,pier,crt screen,plate,monitor,bulletin board,"
    "shower,radiator,glass,clock,flag";

// objectInfo150.txt: after a heading a class a line, tabs between columns, the number first and
// synonyms of the name last. Empty where it is another file.
std::vector<std::string> names_of(const fs::path& table) {
  std::istringstream lines(read_text(table, ExitCode::data));
  std::vector<std::string> found;
  std::string line;
  std::getline(lines, line);
  while (std::getline(lines, line)) {
    if (trimmed(line).empty()) continue;
    if (as_number(trimmed(line.substr(0, line.find('\t')))) !=
        static_cast<std::int64_t>(found.size()) + 1)
      return {};
    const std::string last = line.substr(line.rfind('\t') + 1);  // npos + 1 is 0
    found.push_back(trimmed(last.substr(0, last.find_first_of(",;"))));
  }
  return static_cast<std::int64_t>(found.size()) == classes ? found : std::vector<std::string>{};
}

std::optional<FolderPair> parts_of(const fs::path& folder, const std::string& split) {
  const auto images = folder_of_split(folder / "images", split);
  const auto labels = folder_of_split(folder / "annotations", split);
  if (!images || !labels) return {};
  return FolderPair{*images, *labels};
}

// Other data sets have such folders too.
bool is_ade20k(const fs::path& folder) {
  if (is_file(folder / "objectInfo150.txt") || is_file(folder / "sceneCategories.txt")) return true;
  if (!folder.filename().empty() ? folder.filename() == "ADEChallengeData2016"
                                 : folder.parent_path().filename() == "ADEChallengeData2016")
    return true;
  std::error_code error;
  for (fs::directory_iterator it(folder / "images" / "training", error), end; !error && it != end;
       it.increment(error))
    return it->path().filename().string().starts_with("ADE_");
  return false;
}

}  // namespace

std::optional<fs::path> find_ade20k(const fs::path& path, const std::string& split) {
  for (const fs::path& folder : {path, path / "ADEChallengeData2016"})
    if (is_ade20k(folder) && parts_of(folder, split)) return folder;
  return {};
}

LabelledFiles list_ade20k(const fs::path& folder, const std::string& split) {
  LabelledFiles found = pair_files(*parts_of(folder, split));
  found.format = "ADE20K";
  found.class_of = classes_from(1, classes, {0});
  if (is_file(folder / "objectInfo150.txt"))
    found.class_names = names_of(folder / "objectInfo150.txt");
  if (found.class_names.empty()) {
    std::istringstream list(names);
    for (std::string name; std::getline(list, name, ',');) found.class_names.push_back(name);
  }
  return found;
}

}  // namespace sgmae
