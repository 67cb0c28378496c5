// Pascal VOC's layout: an XML file an image.
#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "sgmae/base/error.h"
#include "sgmae/base/file.h"
#include "sgmae/data/annotated_formats.h"
#include "sgmae/data/file_type.h"
#include "sgmae/data/files.h"
#include "sgmae/data/labels.h"
#include "sgmae/data/left_out.h"
#include "sgmae/data/parallel.h"
#include "sgmae/data/split.h"
#include "sgmae/data/voc_file.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;
using Weight = LeftOut::Weight;

bool is_xml(const std::string& name) {
  return extension_of(name) == "xml";
}

// Sub-folders that sort images, not such as are a part.
bool may_be_nested(const std::string& name) {
  return !named_as_split({name}, "train") && !named_as_split({name}, "val");
}

// Those of a folder for which `keep` is true, and of its sub-folders where they are `nested`.
std::vector<std::string> files_in(const fs::path& folder, bool nested, const auto& keep) {
  if (!is_folder(folder)) return {};
  return files_below(folder, keep,
                     [&](const std::string& name) { return nested && may_be_nested(name); });
}

bool holds_xml(const fs::path& folder) {
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    if (is_xml(it->path().string())) return true;
  return false;
}

bool holds_xml_below(const fs::path& folder, int depth = 0) {
  if (holds_xml(folder)) return true;
  for (const auto& [name, is_a_folder] : list_folder(folder))
    if (is_a_folder && depth < deepest_folder && may_be_nested(name) &&
        holds_xml_below(folder / name, depth + 1))
      return true;
  return false;
}

// Where one part of the data lies.
struct Layout {
  fs::path annotations, images;
  std::optional<fs::path> list;  // of the part's images; else all
  bool nested = false;           // there may be sub-folders in these folders
};

std::optional<fs::path> image_folder(const fs::path& folder) {
  if (const auto images = folder_called(folder, "jpegimages")) return images;
  return folder_called(folder, "images");
}

std::optional<Layout> layout_of(const fs::path& folder, const std::string& split) {
  if (const auto annotations = folder_called(folder, "annotations")) {
    const bool own_folder = image_folder(folder).has_value();
    const fs::path images = image_folder(folder).value_or(folder);
    const auto part = folder_of_split(*annotations, split);
    const bool parted = part && holds_xml(*part) && !holds_xml(*annotations);
    if (!parted && holds_xml_below(*annotations)) {
      Layout layout{*annotations, images, {}, own_folder};
      const auto sets = folder_called(folder, "imagesets");
      if (sets) {
        layout.list = file_of_split(*sets / "Main", split, ".txt");
        if (!layout.list) layout.list = file_of_split(*sets, split, ".txt");
      }
      if (layout.list || split == "train") return layout;
      return {};
    }
    if (parted) return Layout{*part, folder_of_split(images, split).value_or(images), {}};
  }
  if (const auto part = folder_of_split(folder, split)) {
    if (holds_xml(*part)) return Layout{*part, *part, {}};
    if (const auto inner = layout_of(*part, "train")) return inner;
  }
  if (split == "train" && holds_xml(folder)) return Layout{folder, folder, {}};
  return {};
}

// One XML file, read.
struct Annotation {
  std::string name;  // of the file, as seen from the folder
  VocFile voc;
};

std::vector<Annotation> read_all(const fs::path& folder, bool nested) {
  std::vector<Annotation> all;
  for (std::string& name : files_in(folder, nested, is_xml)) all.push_back({std::move(name), {}});
  constexpr std::int64_t share = 16, threads = 8;
  in_parallel(static_cast<std::int64_t>(all.size()), share, threads, [&] {
    return [&](std::int64_t begin, std::int64_t end) {
      for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) {
        const fs::path file = folder / all[i].name;
        all[i].voc = parse_voc(read_text(file, ExitCode::data), file.string());
      }
    };
  });
  return all;
}

// "s1/a" of "s1/a.xml".
std::string stem_of(const std::string& name) {
  return fs::path(name).replace_extension().string();
}

// The image files of a folder as seen from there: by name, without folders too where only one is
// called so, and by name without ending.
struct ImageFiles {
  static constexpr std::size_t several = -1;
  std::vector<std::string> names;
  std::map<std::string, std::size_t> by_name, by_stem;

  ImageFiles(const fs::path& folder, bool nested)
      : names(
            files_in(folder, nested, [](const auto& name) { return has_image_extension(name); })) {
    std::map<std::string, std::size_t> by_last;
    for (std::size_t i = 0; i < names.size(); ++i) {
      by_name.emplace(names[i], i);
      by_stem.emplace(stem_of(names[i]), i);
      const auto [known, is_new] = by_last.emplace(fs::path(names[i]).filename().string(), i);
      if (!is_new) known->second = several;
    }
    for (const auto& [name, i] : by_last)
      if (i != several) by_name.emplace(name, i);
  }

  std::optional<std::size_t> of(const Annotation& annotation) const {
    if (const auto found = by_stem.find(stem_of(annotation.name)); found != by_stem.end())
      return found->second;
    const fs::path filename = annotation.voc.filename;
    for (const fs::path& name : {filename, filename.filename()})
      if (const auto found = by_name.find(name.string()); found != by_name.end())
        return found->second;
    return {};
  }
};

std::string unquoted(const std::string& text) {
  const bool quoted = text.size() > 2 && text.front() == '"' && text.back() == '"';
  return quoted ? text.substr(1, text.size() - 2) : text;
}

// The name in a line of ImageSets/Main. It may hold blanks; the lists of one class have -1, 0 or 1
// behind it, which ends such a name too.
std::string name_in(const std::string& line, const auto& is_known) {
  const std::string whole = unquoted(line);
  const std::size_t blank = line.find_last_of(" \t");
  if (blank == std::string::npos || is_known(whole)) return whole;
  const std::string last = line.substr(blank + 1);
  const bool says_class = last == "-1" || last == "0" || last == "1";
  return says_class ? unquoted(trimmed(line.substr(0, blank))) : whole;
}

std::vector<std::string> read_names(const fs::path& list, const auto& is_known) {
  std::istringstream lines(read_text(list, ExitCode::data));
  std::vector<std::string> names;
  for (std::string line; std::getline(lines, line);)
    if (line = trimmed(line); !line.empty()) names.push_back(name_in(line, is_known));
  check(!names.empty(), ExitCode::data, list.string(), " lists no image");
  return names;
}

}  // namespace

bool find_voc(const fs::path& folder, const std::string& split) {
  const auto layout = layout_of(folder, split);
  if (!layout || layout->annotations != layout->images) return layout.has_value();
  // Beside images lies XML of all kinds.
  try {
    const fs::path first =
        layout->annotations / files_in(layout->annotations, false, is_xml).front();
    parse_voc(read_text(first, ExitCode::data), "");
    return true;
  } catch (const Error&) {
    return false;
  }
}

std::unique_ptr<AnnotatedImages> open_annotated_voc(const fs::path& folder,
                                                    const std::string& split,
                                                    const std::string& data_root) {
  const auto layout = layout_of(folder, split);
  check(layout.has_value(), ExitCode::data, "there is no part '", split,
        "' of Pascal VOC's XML in ", folder.string(), "; expected ImageSets/Main/", split,
        ".txt beside Annotations/, or a folder ", split, "/");
  const fs::path image_root = data_root.empty() ? layout->images : fs::path(data_root);
  const std::vector<Annotation> annotations = read_all(layout->annotations, layout->nested);
  const ImageFiles files(image_root, layout->nested);
  std::vector<LeftOut> left_out;

  // Of all parts, so that they number them alike.
  std::set<std::string> names;
  std::map<std::size_t, const Annotation*> of_file;
  std::map<std::string, const Annotation*> of_stem;
  for (const Annotation& annotation : annotations) {
    for (const VocObject& object : annotation.voc.objects) {
      check(!object.name.empty(), ExitCode::data, (layout->annotations / annotation.name).string(),
            ":", object.line, ": an <object> has no <name>");
      names.insert(object.name);
    }
    of_stem[stem_of(annotation.name)] = &annotation;
    if (const auto file = files.of(annotation))
      of_file.emplace(*file, &annotation);
    else if (!layout->list)
      add_left_out(left_out, "annotations whose image is not there", Weight::lost, annotation.name);
  }

  std::vector<ListedImage> listed;
  std::vector<const Annotation*> of_listed;
  const auto add = [&](const fs::path& path, const Annotation* annotation) {
    listed.push_back({path, annotation ? annotation->voc.size : ImageSize{}});
    of_listed.push_back(annotation);
    if (!annotation)
      add_left_out(left_out, "images without an .xml, which count as without objects",
                   Weight::by_rule, path.filename().string());
  };
  if (layout->list) {
    const auto is_known = [&](const std::string& name) {
      return of_stem.contains(name) || files.by_stem.contains(name);
    };
    for (const std::string& name : read_names(*layout->list, is_known)) {
      const auto annotation = of_stem.find(name);
      const auto file = files.by_stem.find(name);
      add(image_root / (file == files.by_stem.end() ? name + ".jpg" : files.names[file->second]),
          annotation == of_stem.end() ? nullptr : annotation->second);
    }
  } else {
    for (std::size_t i = 0; i < files.names.size(); ++i) {
      const auto annotation = of_file.find(i);
      add(image_root / files.names[i], annotation == of_file.end() ? nullptr : annotation->second);
    }
  }

  FoundImages images = find_images(listed, folder.string(), left_out);
  const std::vector<std::string> class_names(names.begin(), names.end());
  std::vector<std::vector<Instance>> objects;
  for (std::size_t i = 0; i < images.listed.size(); ++i) {
    std::vector<Instance>& of_image = objects.emplace_back();
    const Annotation* annotation = of_listed[images.listed[i]];
    if (!annotation || images.sizes[i] == ImageSize{}) continue;
    for (const VocObject& object : annotation->voc.objects) {
      Instance instance;
      instance.box = object.box;
      if (!clip_to(images.sizes[i], str(annotation->name, ":", object.line), instance.box,
                   left_out))
        continue;
      instance.category = std::lower_bound(class_names.begin(), class_names.end(), object.name) -
                          class_names.begin();
      instance.crowd = object.difficult;
      instance.area = instance.box.area();
      if (object.difficult)
        add_left_out(left_out, "objects marked difficult, which count neither way", Weight::by_rule,
                     str(annotation->name, ":", object.line));
      of_image.push_back(std::move(instance));
    }
  }
  return std::make_unique<StoredAnnotations>("Pascal VOC", std::move(images), std::move(objects),
                                             class_names, std::move(left_out));
}

}  // namespace sgmae
