// Images in tar archives, read in place: WebDataset shards, ILSVRC's tar of tars, plain tars.
//
// Tar has no table of contents. Each archive is walked once, header by header, and what was found
// is kept in an index, so that any image can be read at once and shuffling is exact.
#include <algorithm>
#include <filesystem>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "sgmae/base/error.h"
#include "sgmae/base/file.h"
#include "sgmae/base/log.h"
#include "sgmae/data/bytes.h"
#include "sgmae/data/file_type.h"
#include "sgmae/data/files.h"
#include "sgmae/data/formats.h"
#include "sgmae/data/hub_card.h"
#include "sgmae/data/left_out.h"
#include "sgmae/data/samples.h"
#include "sgmae/data/shard_walk.h"
#include "sgmae/data/shards.h"
#include "sgmae/data/split.h"
#include "sgmae/data/tar.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

struct Shard {
  FileStamp stamp;
  std::vector<Sample> samples;
  std::vector<LeftOut> left_out;
};

// The images of an archive, and of archives in it.
void scan_tar(const RandomAccessFile& file, const DataFormat& format, Shard& shard) {
  const auto read = [&](std::uint64_t offset, std::span<std::uint8_t> out) {
    file.read(offset, out);
  };
  const auto read_text = [&](const TarEntry& entry) {
    std::string text(static_cast<std::size_t>(entry.size), '\0');
    read(entry.offset, {reinterpret_cast<std::uint8_t*>(text.data()), text.size()});
    return text;
  };
  SampleCollector outer(format, read_text);
  read_tar(read, 0, file.size(), [&](const TarEntry& entry) {
    if (entry.kind != TarEntry::Kind::file || !entry.name.ends_with(".tar")) {
      outer.add(entry);
      return;
    }
    SampleCollector inner(format, read_text);
    read_tar(read, entry.offset, entry.offset + entry.size,
             [&](const TarEntry& found) { inner.add(found, entry.name + "/"); });
    for (Sample& sample : inner.finish(shard.left_out)) shard.samples.push_back(std::move(sample));
  });
  const bool both = !shard.samples.empty();
  for (Sample& sample : outer.finish(shard.left_out)) shard.samples.push_back(std::move(sample));
  if (both)  // images beside inner archives stay in the archive's order
    std::stable_sort(shard.samples.begin(), shard.samples.end(),
                     [](const Sample& a, const Sample& b) { return a.offset < b.offset; });
}

void read_samples(ByteReader& reader, Shard& shard) {
  for (std::size_t samples = reader.count(28); samples > 0; --samples) {
    Sample sample;
    sample.name = reader.text();
    sample.label = reader.text();
    sample.place = reader.text();
    sample.offset = reader.number<std::uint64_t>();
    sample.size = reader.number<std::uint64_t>();
    shard.samples.push_back(std::move(sample));
  }
  shard.left_out = read_left_out(reader);
}

void write_samples(ByteWriter& writer, const Shard& shard) {
  writer.count(shard.samples.size());
  for (const Sample& sample : shard.samples) {
    writer.text(sample.name);
    writer.text(sample.label);
    writer.text(sample.place);
    writer.number(sample.offset);
    writer.number(sample.size);
  }
  write_left_out(writer, shard.left_out);
}

// What went wrong with an archive, and the likely cause.
std::string reason_of(const fs::path& path, const Error& error) {
  const std::string text = error.what();
  if (text.find(path.string()) != std::string::npos) return text;
  if (const std::string container = container_at(path); !container.empty())
    return path.string() + " " + container;
  const bool cut = text.starts_with("truncated");
  return path.string() + ": " + text + (cut ? "; an incomplete download?" : "");
}

ShardWalk<Shard> tar_walk(const DataFormat& format) {
  const auto scan = [format](const fs::path& path, Shard& shard) {
    try {
      scan_tar(RandomAccessFile(path), format, shard);
    } catch (const Error& error) {
      fail(error.code(), reason_of(path, error));
    }
  };
  return {"tar files", 8, scan, 16, write_samples, read_samples};
}

class TarSource : public Source {
 public:
  TarSource(std::vector<fs::path> paths, std::vector<Shard> shards, Labels labels,
            std::vector<LeftOut> left_out)
      : paths_(std::move(paths)), files_(paths_.size()) {
    for (std::size_t i = 0; i < shards.size(); ++i)
      for (Sample& sample : shards[i].samples)
        entries_.push_back({std::move(sample.name), i, sample.offset, sample.size});
    labels_ = std::move(labels.labels);
    class_names_ = std::move(labels.class_names);
    left_out_ = std::move(left_out);
    SGMAE_ASSERT(labels_.size() == entries_.size());
  }

  std::int64_t size() const override { return static_cast<std::int64_t>(entries_.size()); }
  std::string name(std::int64_t index) const override {
    const Entry& entry = entries_[static_cast<std::size_t>(index)];
    return paths_[entry.shard].string() + "/" + entry.name;
  }
  void open(std::int64_t index, OpenedImage& opened) const override {
    const Entry& entry = entries_[static_cast<std::size_t>(index)];
    check(entry.size <= max_image_bytes, ExitCode::data, "an image file of ", entry.size, " bytes");
    opened.raw = {};
    opened.bytes.resize(static_cast<std::size_t>(entry.size));
    files_.get(entry.shard, paths_[entry.shard])->read(entry.offset, opened.bytes);
    read_info(opened);
  }

 protected:
  int colour_channels() const override { return 3; }
  std::int64_t content_mark(std::int64_t index) const override {
    return static_cast<std::int64_t>(entries_[static_cast<std::size_t>(index)].size);
  }

 private:
  struct Entry {
    std::string name;
    std::size_t shard;
    std::uint64_t offset, size;
  };
  std::vector<fs::path> paths_;
  std::vector<Entry> entries_;
  mutable OpenFiles files_;
};

// Labels of an archive without any, from a list beside it (ILSVRC's val.txt: "NAME LABEL" a line).
// A number counts the classes of the training archives, where those lie in the same folder.
Labels labels_from_list(const std::vector<std::string>& names, const fs::path& list,
                        const fs::path& folder, const DataFormat& format,
                        std::vector<LeftOut>& left_out) {
  const ListFile read = read_list(list, {});
  // By their whole paths, or else by a file name that only one line has.
  const auto file_name = [](const std::string& path) {
    return path.substr(path.find_last_of("/\\") + 1);  // npos + 1 is 0
  };
  constexpr std::size_t several = std::numeric_limits<std::size_t>::max();
  std::map<std::string, std::size_t> line_of, line_of_file;
  for (std::size_t i = 0; i < read.lines.size(); ++i) {
    const std::string& path = read.lines[i].path;
    const auto [line, is_new] = line_of.emplace(path, i);
    if (!is_new && read.lines[line->second].label != read.lines[i].label)
      add_left_out(left_out, "second labels of an image in " + list.filename().string(),
                   LeftOut::Weight::lost, str("line ", read.lines[i].number, ": ", path));
    if (!is_new) continue;
    const auto [file, is_only] = line_of_file.emplace(file_name(path), i);
    if (!is_only) file->second = several;
  }
  std::vector<std::string> words;
  std::vector<std::size_t> lines;
  std::set<std::size_t> used;
  for (const std::string& name : names) {
    std::size_t line = several;
    const std::string plain = name.starts_with("./") ? name.substr(2) : name;
    if (const auto whole = line_of.find(plain); whole != line_of.end())
      line = whole->second;
    else if (const auto file = line_of_file.find(file_name(name)); file != line_of_file.end())
      line = file->second;
    if (line == several)
      add_left_out(left_out, "images that " + list.filename().string() + " gives no label",
                   LeftOut::Weight::told, name);
    else
      used.insert(line);
    lines.push_back(line == several ? 0 : line);
    words.push_back(line == several ? "" : read.lines[line].label);
  }
  if (used.size() < line_of.size())
    add_left_out(left_out, "lines of " + list.filename().string() + " that name no image here",
                 LeftOut::Weight::told, read.lines.front().path,
                 static_cast<std::int64_t>(line_of.size() - used.size()));
  const auto place = [&](std::size_t i) {
    return str(list.string(), ", line ", read.lines[lines[i]].number);
  };
  Labels labels = number_by_word(words, list.string(), place, left_out);
  const bool numbers = !labels.class_names.empty() && as_number(labels.class_names.back());
  if (const Shards training = shards_in(folder, "train", {"tar"});
      numbers && !training.paths.empty()) {
    const auto classes = open_tars(training, "train", format)->class_names();
    if (classes.size() >= labels.class_names.size()) labels.class_names = classes;
  }
  return labels;
}

}  // namespace

Shards find_shards(const std::string& path, const std::string& split) {
  if (auto of_card = shards_of_card(path, split, {"tar"})) return *std::move(of_card);
  return shards_of_split(path, split, {"tar"});
}

std::unique_ptr<Source> open_tars(const Shards& found, const std::string& split,
                                  const DataFormat& format) {
  const std::vector<fs::path>& paths = found.paths;
  SGMAE_ASSERT(!paths.empty());
  std::vector<Shard> shards = walk_shards(paths, format, tar_walk(format));
  std::vector<std::string> names, words, places;
  std::vector<LeftOut> left_out = missing_shards(found);
  bool labelled = false;
  for (std::size_t i = 0; i < shards.size(); ++i) {
    for (Sample& sample : shards[i].samples) {
      labelled |= !sample.label.empty();
      names.push_back(sample.name);
      words.push_back(std::move(sample.label));
      places.push_back(std::move(sample.place));
    }
    for (LeftOut& entry : shards[i].left_out)
      entry.example = paths[i].filename().string() + "/" + entry.example;
    add_left_out(left_out, shards[i].left_out);
  }
  if (names.empty())
    if (const std::string container = container_at(paths.front()); !container.empty())
      fail(ExitCode::data, paths.front().string(), " ", container);
  check(!names.empty(), ExitCode::data, "no image in ", paths.front().string(),
        paths.size() > 1 ? " and the other shards" : "",
        "; expected image files such as .jpg or .png in it",
        left_out.empty() ? "" : "; left out: " + describe(left_out, LeftOut::Weight::by_rule));
  const fs::path folder = paths.front().parent_path();
  const auto list = file_of_split(folder, split, ".txt");
  Labels labels;
  if (labelled)
    labels = number_by_word(
        words, paths.front().string(), [&](std::size_t i) { return names[i]; }, left_out);
  else if (list)
    labels = labels_from_list(names, *list, folder, format, left_out);
  else
    labels = number_folders(places, paths.front().string());
  return std::make_unique<TarSource>(paths, std::move(shards), std::move(labels),
                                     std::move(left_out));
}

}  // namespace sgmae
