// sgmae data: pack a data set into one file, look through one, check one.
#include <algorithm>
#include <memory>

#include "cli/command.h"
#include "sgmae/base/counted.h"
#include "sgmae/base/file.h"
#include "sgmae/base/log.h"
#include "sgmae/data/annotated_images.h"
#include "sgmae/data/inspect.h"
#include "sgmae/data/inspect_labels.h"
#include "sgmae/data/inspect_objects.h"
#include "sgmae/data/normalisation_file.h"
#include "sgmae/data/pack.h"
#include "sgmae/data/segmented_images.h"
#include "sgmae/data/source.h"
#include "sgmae/image/draw_labels.h"
#include "sgmae/image/draw_objects.h"
#include "sgmae/image/encode.h"

namespace sgmae {
namespace {

struct DataArguments {
  std::string data_root, split = "train";
  DataFormat format = DataFormat::automatic;
  AnnotationFormat annotations = AnnotationFormat::automatic;
  SegmentedFormat labels = SegmentedFormat::automatic;
  LabelCoding coding;
  std::string pictures, save;
  PackOptions pack;
  bool verify = false;

  void declare(Options& o) {
    o.section("data");
    declare_data_format(o, format);
    declare_annotation_format(o, annotations);
    declare_segmented_format(o, labels);
    declare_label_coding(o, coding);
    o.add("data_root", data_root,
          "what paths in a list file are relative to, or where annotated images are; empty: the "
          "list's folder, or where the layout has them");
    o.add("split", split, "part of the data set: train, val or test");
    o.add("num_workers", pack.num_workers, "threads that read and decode images");
    o.add("pictures", pictures,
          "stats: folder for pictures of some images with what is marked in them, objects or the "
          "classes of pixels");
    o.add(
        "save", save,
        "stats: file for mean and deviation of each channel, which pretrain --normalisation takes");
    o.section("pack");
    o.add("max_side", pack.max_side,
          "scale larger images to this longer side and store them as JPEG; 0: keep every file as "
          "it is");
    o.add("quality", pack.quality, "JPEG quality of scaled images, 1 to 100");
    o.add("verify", verify, "after packing, read every image of the pack");
  }
};

// What lies at a path: images in which objects are marked, images with label maps, or others.
struct Opened {
  std::unique_ptr<AnnotatedImages> annotated;
  std::unique_ptr<SegmentedImages> segmented;
  std::unique_ptr<Source> plain;

  const Source& source() const {
    return annotated ? annotated->images() : segmented ? segmented->images() : *plain;
  }
  std::vector<LeftOut> left_out() const {
    return annotated   ? annotated->left_out()
           : segmented ? segmented->left_out()
                       : plain->left_out();
  }
};

Opened open(const DataArguments& options, const std::string& path) {
  const bool objects = options.annotations != AnnotationFormat::automatic;
  const bool labels =
      options.labels != SegmentedFormat::automatic || options.coding != LabelCoding{};
  check(!objects || !labels, ExitCode::usage,
        "--annotation_format is for objects, --label_format, --classes, --ignore and "
        "--reduce_zero_label for the classes of pixels; give one or the other");
  const bool automatic = !objects && !labels && options.format == DataFormat::automatic;
  const bool marked = automatic && holds_annotations(path, options.split);
  const bool mapped = automatic && holds_segmented(path, options.split);
  if (marked && mapped) info(path, " holds label maps too; look at them with --label_format");
  if (objects || marked)
    return {open_annotated(path, options.split, options.data_root, options.annotations), nullptr,
            nullptr};
  if (labels || mapped)
    return {nullptr, open_segmented(path, options.split, options.labels, options.coding), nullptr};
  return {nullptr, nullptr, open_source(path, options.split, options.data_root, options.format)};
}

void warn_of_unreadable(const DataStats& stats) {
  constexpr std::size_t most_named = 20;
  for (std::size_t i = 0; i < stats.unreadable.size() && i < most_named; ++i)
    warn(stats.unreadable[i].name, ": ", stats.unreadable[i].reason);
  if (stats.unreadable.size() > most_named)
    warn("and ", stats.unreadable.size() - most_named, " more");
}

void warn_of_unusable(const LabelStats& stats) {
  constexpr std::size_t most_named = 20;
  for (std::size_t i = 0; i < stats.unusable.size() && i < most_named; ++i)
    warn(stats.unusable[i].reason);
  if (stats.unusable.size() > most_named) warn("and ", stats.unusable.size() - most_named, " more");
}

void list_left_out(const Opened& data) {
  for (const LeftOut& entry : data.left_out())
    info(data.annotated ? "of note      " : "left out     ", entry.reason, ": ", entry.count,
         ", e.g. ", entry.example);
}

nlohmann::ordered_json verify_data(const DataArguments& options, const std::string& path) {
  const Opened data = open(options, path);
  const DataStats stats = inspect_data(data.source(), options.pack.num_workers);
  warn_of_unreadable(stats);
  nlohmann::ordered_json all = to_json(stats, data.source()), json{{"path", path}};
  for (const char* key : {"images", "bytes", "unreadable_count", "unreadable"})
    json[key] = std::move(all[key]);
  json["left_out"] = to_json(data.left_out());
  if (data.annotated) {
    json["annotations"] = data.annotated->format();
    json["objects"] = inspect_objects(*data.annotated).objects;
  }
  LabelStats labels;
  if (data.segmented) {
    labels = inspect_labels(*data.segmented, options.pack.num_workers);
    warn_of_unusable(labels);
    json["label_format"] = data.segmented->format();
    nlohmann::ordered_json found = to_json(labels);
    for (const char* key : {"unusable_count", "unusable", "values_above_classes"})
      json["labels"][key] = std::move(found[key]);
  }
  list_left_out(data);
  std::string why;
  if (!stats.unreadable.empty())
    why = str(stats.unreadable.size(), " of the ", stats.images, " images of ", path,
              " cannot be read; training would replace them with others");
  if (!labels.unusable.empty())
    why += str(why.empty() ? "" : "; ", "the labels of ", counted(labels.unusable.size(), "image"),
               " of ", path, " cannot be used");
  std::int64_t lost = 0;
  for (const LeftOut& entry : data.left_out())
    if (entry.weight == LeftOut::Weight::lost) lost += entry.count;
  if (lost > 0)
    why += str(why.empty() ? "" : "; ", path, ": ", lost, " image", lost == 1 ? "" : "s", " or ",
               data.annotated ? "object" : "label", lost == 1 ? " is lost" : "s are lost",
               ", for the reasons listed above");
  if (!why.empty()) throw ReportedFailure(ExitCode::data, why, json);
  info(path, ": all ", stats.images, " images can be read",
       data.annotated   ? str(", and all of ", json["objects"].get<std::int64_t>(), " objects")
       : data.segmented ? ", and all their labels"
                        : "");
  return json;
}

constexpr std::size_t most_pictures = 24;

// The picture of an image, under the image's own name.
void write_picture(const Source& images, std::int64_t index, const Image& picture,
                   const std::string& folder) {
  constexpr int quality = 92;
  const std::filesystem::path from = images.name(index);
  const auto bytes = encode_jpeg(view(picture), quality);
  write_file(std::filesystem::path(folder) / str(index, "_", from.stem().string(), ".jpg"),
             {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

// Some of the images, evenly from all that have objects, drawn with these.
std::int64_t write_pictures(const AnnotatedImages& data, const std::string& folder) {
  std::vector<std::int64_t> marked;
  for (std::int64_t i = 0; i < data.images().size(); ++i)
    if (!data.objects(i).empty()) marked.push_back(i);
  const std::size_t count = std::min(most_pictures, marked.size());
  std::filesystem::create_directories(folder);
  for (std::size_t k = 0; k < count; ++k) {
    const std::int64_t index = marked[k * marked.size() / count];
    OpenedImage opened;
    data.images().open(index, opened);
    Image buffer;
    const ImageView photo = decode(opened, whole(opened.size), 3, buffer);
    std::vector<DrawnObject> objects;
    for (Instance& object : data.objects(index)) {
      const std::string& name = data.class_names()[static_cast<std::size_t>(object.category)];
      objects.push_back({object.box, std::move(object.shape),
                         object.crowd ? name + " (crowd)" : name, colour_of(object.category),
                         object.crowd});
    }
    write_picture(data.images(), index, draw_objects(photo, objects), folder);
  }
  info("pictures     ", count, " in ", folder);
  return static_cast<std::int64_t>(count);
}

// Some of the images, evenly from all, beside themselves with their labels.
std::int64_t write_pictures(const SegmentedImages& data, const std::string& folder) {
  const auto images = static_cast<std::size_t>(data.images().size());
  const std::size_t count = std::min(most_pictures, images), common = common_folder(data.images());
  std::filesystem::create_directories(folder);
  std::int64_t written = 0;
  for (std::size_t k = 0; k < count; ++k) {
    const auto index = static_cast<std::int64_t>(k * images / count);
    try {
      OpenedImage opened;
      data.images().open(index, opened);
      LabelMap labels;
      data.read_labels(index, labels);
      if (labels.size != opened.size) continue;  // told already
      Image buffer;
      const ImageView photo = decode(opened, whole(opened.size), 3, buffer);
      write_picture(data.images(), index,
                    draw_labels_beside(photo, labels, data.class_names(),
                                       data.images().name(index).substr(common)),
                    folder);
      ++written;
    } catch (const Error& error) {
      if (error.code() != ExitCode::data) throw;  // what cannot be read is told already
    }
  }
  info("pictures     ", written, " in ", folder);
  return written;
}

nlohmann::ordered_json show_objects(const AnnotatedImages& data, const std::string& pictures) {
  const ObjectStats stats = inspect_objects(data);
  info("annotations  ", data.format(), data.has_masks() ? ", with outlines" : ", boxes only");
  info("objects      ", stats.objects,
       stats.with_outline > 0 && stats.with_outline < stats.objects
           ? str(" (", stats.with_outline, " with an outline)")
           : "",
       stats.crowds > 0 ? str(", and ", stats.crowds, " crowds") : "");
  info("per image    ", stats.fewest, " to ", stats.most, ", median ", stats.median, "; ",
       stats.images_without, " of ", stats.images, " images have none");
  info("sizes        small ", stats.small, ", medium ", stats.medium, ", large ", stats.large,
       " (COCO's: an area below 32x32 pixels, to 96x96, above)");
  constexpr std::size_t most_named = 20;
  std::vector<ObjectStats::ClassStats> classes = stats.classes;
  std::stable_sort(classes.begin(), classes.end(),
                   [](const auto& a, const auto& b) { return a.objects > b.objects; });
  info("classes      ", classes.size(), classes.size() > most_named ? ", the most frequent:" : "");
  for (std::size_t i = 0; i < classes.size() && i < most_named; ++i)
    info("  ", classes[i].name, ": ", classes[i].objects, " in ", classes[i].images, " images");
  nlohmann::ordered_json json = to_json(stats);
  json["annotations"] = data.format();
  if (!pictures.empty()) json["pictures"] = write_pictures(data, pictures);
  return json;
}

nlohmann::ordered_json show_labels(const SegmentedImages& data, const DataArguments& options) {
  const LabelStats stats = inspect_labels(data, options.pack.num_workers);
  const auto percent = [](std::int64_t part, std::int64_t all) {
    return fixed(all > 0 ? 100.0 * static_cast<double>(part) / static_cast<double>(all) : 0, 2) +
           "%";
  };
  warn_of_unusable(stats);
  info("labels       ", data.format(), ", ",
       stats.images - static_cast<std::int64_t>(stats.unusable.size()), " of ", stats.images,
       " can be used");
  info("pixels       ", stats.pixels, ", ", percent(stats.unlabelled, stats.pixels),
       " of them count nowhere; of ", stats.images_all_unlabelled, " images all");
  for (const auto& [value, pixels] : stats.above)
    info("above        value ", value, ", which is no class's: ", pixels, " pixels");
  std::vector<LabelStats::ClassStats> classes = stats.classes;
  std::stable_sort(classes.begin(), classes.end(),
                   [](const auto& a, const auto& b) { return a.pixels > b.pixels; });
  constexpr std::size_t most_named = 40;
  info("classes      ", classes.size(), ", ", stats.classes_without_pixels(),
       " of them never occur", classes.size() > most_named ? "; the most frequent:" : "");
  for (std::size_t i = 0; i < classes.size() && i < most_named && classes[i].pixels > 0; ++i)
    info("  ", classes[i].name, ": ", percent(classes[i].pixels, stats.labelled()),
         " of labelled pixels, in ", classes[i].images, " images");
  nlohmann::ordered_json json = to_json(stats);
  json["label_format"] = data.format();
  if (!options.pictures.empty()) json["pictures"] = write_pictures(data, options.pictures);
  return json;
}

// Of values as stored, channel by channel.
void show_channels(const DataStats& stats) {
  constexpr std::size_t most_shown = 32;
  for (std::size_t c = 0; c < stats.mean.size() && c < most_shown; ++c)
    info("channel ", c + 1, c < 9 ? "    " : "   ", "mean ", stats.mean[c], ", std ", stats.std[c],
         ", from ", stats.lowest[c], " to ", stats.highest[c], ", ", stats.counted[c], " values");
  if (stats.mean.size() > most_shown)
    info("and ", stats.mean.size() - most_shown, " more channels (--json lists them)");
}

// Mean and deviation as normalisation: of grey images of one channel, of values as stored of all.
void save_normalisation(const DataStats& stats, const Source& source, const std::string& file) {
  check(!stats.mean.empty(), ExitCode::data, "no image can be read, and so nothing is saved");
  Normalisation normalisation{{}, {}, source.stored_values()};
  for (int c = 0; c < source.native_channels(); ++c) {
    const auto i = static_cast<std::size_t>(c);
    normalisation.mean.push_back(static_cast<float>(stats.mean[i]));
    normalisation.std.push_back(stats.std[i] > 0 ? static_cast<float>(stats.std[i]) : 1);
  }
  nlohmann::ordered_json json = to_json(normalisation);
  json["images"] = stats.images - static_cast<std::int64_t>(stats.unreadable.size());
  if (source.stored_values()) json["counted"] = stats.counted;
  write_file(file, json.dump(2) + "\n");
  info("wrote ", file);
}

nlohmann::ordered_json show_stats(const DataArguments& options, const std::string& path) {
  const Opened data = open(options, path);
  check(options.pictures.empty() || data.annotated || data.segmented, ExitCode::usage,
        "--pictures shows marked objects and label maps, and ", path, " has neither");
  const DataStats stats = inspect_data(data.source(), options.pack.num_workers);
  warn_of_unreadable(stats);
  const auto range = [](const DataStats::Range& r) {
    return str(r.smallest, " to ", r.largest, ", median ", r.median);
  };
  const auto triple = [](const std::vector<double>& values) {
    std::string text;
    for (const double value : values) text += (text.empty() ? "" : " ") + fixed(value, 4);
    return text;
  };
  info("images       ", stats.images, " (", stats.unreadable.size(), " unreadable), ",
       fixed(static_cast<double>(stats.bytes) / 1e6, 1), " MB");
  info("width        ", range(stats.width));
  info("height       ", range(stats.height));
  std::string formats, channels;
  for (const auto& [name, count] : stats.formats) formats += str(name, " ", count, "  ");
  for (const auto& [number, count] : stats.channels) channels += str(number, ": ", count, "  ");
  info("formats      ", formats);
  info("channels     ", channels);
  if (data.source().stored_values()) {
    show_channels(stats);
  } else {
    info("mean         ", triple(stats.mean));
    info("std          ", triple(stats.std));
  }
  if (!options.save.empty()) save_normalisation(stats, data.source(), options.save);
  if (!stats.class_names.empty()) {
    const auto [fewest, most] = std::minmax_element(stats.per_class.begin(), stats.per_class.end());
    info("classes      ", stats.class_names.size(), ", of ", *fewest, " to ", *most,
         " images each (--json lists them)");
  }
  if (data.plain) info("unlabelled   ", stats.unlabelled);
  nlohmann::ordered_json json{{"path", path}};
  json.update(to_json(stats, data.source()));
  json["left_out"] = to_json(data.left_out());
  if (data.annotated) json["objects"] = show_objects(*data.annotated, options.pictures);
  if (data.segmented) json["labels"] = show_labels(*data.segmented, options);
  list_left_out(data);
  info("duplicates   ", stats.duplicates.size(), " groups of images with the same pixels",
       data.plain == nullptr ? "" : str(", ", stats.conflicting, " of them with different labels"));
  return json;
}

nlohmann::ordered_json pack_data(const DataArguments& options, const std::string& from,
                                 const std::string& to) {
  check(to.ends_with(".sgpack"), ExitCode::usage, "'", to,
        "' should end in .sgpack, the extension of packed data sets");
  check(options.format.stored.pages != Pages::images, ExitCode::usage,
        "a pack keeps files as they are, all their pages in one; leave --pages out, and give it "
        "again where the pack is read");
  const auto source = open_source(from, options.split, options.data_root, options.format);
  const PackReport report = write_pack(*source, to, options.pack);
  for (const std::string& image : report.left_out) warn("left out: ", image);
  info(to, ": ", report.images, " images, ", fixed(static_cast<double>(report.bytes) / 1e6, 1),
       " MB", report.resumed > 0 ? str("; ", report.resumed, " were packed by an earlier run") : "",
       report.left_out.empty() ? "" : str("; ", report.left_out.size(), " left out"));
  nlohmann::ordered_json json{{"path", to},
                              {"images", report.images},
                              {"resumed", report.resumed},
                              {"scaled", report.scaled},
                              {"bytes", report.bytes},
                              {"left_out", report.left_out}};
  if (options.verify) {
    DataArguments pack = options;
    pack.format = DataFormat::pack;
    pack.split = "train";  // the file itself
    json["verified"] = verify_data(pack, to)["images"];
  }
  return json;
}

}  // namespace

Command data_command() {
  const auto arguments = std::make_shared<DataArguments>();
  Command command;
  command.positional_help = "pack SRC DST.sgpack | stats PATH | verify PATH";
  command.words = {"pack", "stats", "verify"};
  arguments->declare(command.options);
  command.run = [arguments](const std::vector<std::string>& words) -> nlohmann::ordered_json {
    check(arguments->pack.num_workers >= 1, ExitCode::usage, "num_workers must be at least 1");
    if (words.size() == 3 && words[0] == "pack") return pack_data(*arguments, words[1], words[2]);
    if (words.size() == 2 && words[0] == "stats") return show_stats(*arguments, words[1]);
    if (words.size() == 2 && words[0] == "verify") return verify_data(*arguments, words[1]);
    fail(ExitCode::usage, "expected pack SRC DST.sgpack, stats PATH or verify PATH");
  };
  return command;
}

}  // namespace sgmae
