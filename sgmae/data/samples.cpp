#include "sgmae/data/samples.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

#include "sgmae/base/error.h"
#include "sgmae/data/file_type.h"
#include "sgmae/data/labels.h"
#include "sgmae/data/left_out.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

using Weight = LeftOut::Weight;

bool contains(const std::vector<std::string>& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

std::string file_name_of(const std::string& path) {
  return path.substr(path.rfind('/') + 1);  // npos + 1 is 0
}

// WebDataset's: a first folder called __like_this__ holds no samples.
bool is_meta(std::string_view name) {
  const std::string_view first = name.substr(0, std::min(name.find('/'), name.size()));
  return first.size() < name.size() && first.size() >= 4 && first.starts_with("__") &&
         first.ends_with("__");
}

std::string folder_of(const std::string& name) {
  const std::string folder = fs::path(name).parent_path().filename().string();
  return folder == "." || folder == ".." ? "" : folder;
}

// How many words of a field come before its type: 0 for `jpg`, 1 for `depth.png`.
std::ptrdiff_t depth(const std::string& field) {
  return std::count(field.begin(), field.end(), '.');
}

// `5x` of `5x.jpg`; "" of `jpg`.
std::string_view stem_of(std::string_view field) {
  const std::size_t dot = field.rfind('.');
  return dot == std::string_view::npos ? "" : field.substr(0, dot);
}

[[noreturn]] void ambiguous(const std::string& a, const std::string& b, const char* what,
                            const char* option) {
  fail(ExitCode::data, "'", a, "' and '", b,
       "' belong to one sample, whose name ends at the first dot; say with --", option,
       " which is the ", what, ", or write the archive with no dots inside the names");
}

}  // namespace

std::pair<std::string, std::string> split_key(const std::string& name) {
  const std::size_t dot = name.find('.', name.rfind('/') + 1);  // npos + 1 is 0
  if (dot == std::string::npos) return {name, ""};
  return {name.substr(0, dot), lower_case(std::string_view(name).substr(dot + 1))};
}

std::vector<std::string> alternatives(const std::string& keys) {
  std::vector<std::string> words;
  for (std::size_t at = 0; at <= keys.size();) {
    const std::size_t end = std::min(keys.find(';', at), keys.size());
    if (std::string word = trimmed(std::string_view(keys).substr(at, end - at)); !word.empty())
      words.push_back(std::move(word));
    at = end + 1;
  }
  return words;
}

SampleCollector::SampleCollector(const DataFormat& format, ReadText read_text)
    : label_keys_(alternatives(format.label_key)), read_text_(std::move(read_text)) {
  for (const std::string& key : alternatives(format.image_key))
    image_keys_.push_back(lower_case(key));
}

SampleCollector::Draft& SampleCollector::draft_for(const std::string& key, const std::string& field,
                                                   const std::string& inside) {
  const auto [found, is_new] = latest_.emplace(key, drafts_.size());
  // A key that comes again is another sample once a field comes again.
  const bool again =
      !is_new && key != last_key_ &&
      std::any_of(drafts_[found->second].files.begin(), drafts_[found->second].files.end(),
                  [&](const File& file) { return file.field == field; });
  if (again) found->second = drafts_.size();
  if (is_new || again) drafts_.push_back({inside, {}, false});
  last_key_ = key;
  return drafts_[found->second];
}

void SampleCollector::read_label(const TarEntry& entry, File& file) {
  constexpr std::uint64_t largest_label = 1 << 20;
  file.understood = entry.size <= largest_label;
  if (!file.understood) return;
  const std::string text = read_text_(entry);
  if (extension_of(file.name) != "json") {
    file.label = trimmed(text.starts_with("\xef\xbb\xbf") ? text.substr(3) : text);
    return;
  }
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  file.understood = !json.is_discarded();
  if (!json.is_object()) return;  // a list of boxes, say
  static const std::vector<std::string> usual{"label", "cls", "class"};
  for (const std::string& key : label_keys_.empty() ? usual : label_keys_) {
    const auto found = json.find(key);
    if (found == json.end()) continue;
    const auto label = label_of_json(*found);
    file.understood = label.has_value();
    file.label = label.value_or("");
    return;
  }
}

void SampleCollector::add(const TarEntry& entry, const std::string& inside) {
  ++position_;
  const std::string& name = entry.name;
  const std::string shown = inside + name;
  const std::string_view plain =
      name.starts_with("./") ? std::string_view(name).substr(2) : std::string_view(name);
  if (is_meta(plain)) {
    add_left_out(left_out_, "files in folders like __meta__/", Weight::by_rule, shown);
    return;
  }
  if (file_name_of(name).starts_with('.')) {  // macOS puts its own files beside each: ._name
    add_left_out(left_out_, "hidden files", Weight::by_rule, shown);
    return;
  }
  auto [key, field] = split_key(name);
  key.insert(0, inside);
  const std::string type = extension_of(name);
  const bool by_key = contains(image_keys_, field);
  const bool is_label =
      !by_key &&
      (type == "json" || (label_keys_.empty() ? type == "cls" : contains(label_keys_, field)));
  if (image_rank(type) < 0 && !has_unread_image_extension(name) && !by_key && !is_label) {
    add_other_file(left_out_, shown);
    if (!field.empty()) draft_for(key, field, inside).others = true;
    return;
  }
  File file{shown, field, entry.offset, entry.size, position_, is_label, true, ""};
  TarEntry contents = entry;
  if (entry.kind == TarEntry::Kind::hard_link) {
    const std::string target = inside + entry.target;
    const auto found = latest_.find(inside + split_key(entry.target).first);
    const auto* files = found == latest_.end() ? nullptr : &drafts_[found->second].files;
    const auto there = files ? std::find_if(files->begin(), files->end(),
                                            [&](const File& f) { return f.name == target; })
                             : std::vector<File>::const_iterator{};
    if (!files || there == files->end()) {
      add_left_out(left_out_, "hard links whose target is not an earlier image of the archive",
                   Weight::lost, shown);
      return;
    }
    file.offset = contents.offset = there->offset;
    file.size = contents.size = there->size;
  } else if (entry.kind != TarEntry::Kind::file) {
    add_left_out(left_out_,
                 entry.kind == TarEntry::Kind::symbolic_link
                     ? "symbolic links (tar --dereference stores the files)"
                     : "entries that are not files",
                 Weight::lost, shown);
    return;
  }
  if (file.is_label) read_label(contents, file);
  draft_for(key, field, inside).files.push_back(std::move(file));
}

std::vector<const SampleCollector::File*> SampleCollector::images_of(
    const Draft& draft, std::vector<LeftOut>& left_out) const {
  std::vector<const File*> images, unread;
  for (const File& file : draft.files) {
    if (file.is_label) continue;
    const std::string type = extension_of(file.name);
    (image_rank(type) >= 0 || contains(image_keys_, file.field) ? images : unread).push_back(&file);
  }
  const auto leave_out = [&](const File& file) {
    add_left_out(left_out, "further images of a sample", Weight::told, file.name);
  };

  if (!image_keys_.empty()) {
    for (const std::string& key : image_keys_) {
      const auto is_it = [&](const File* file) { return file->field == key; };
      const auto found = std::find_if(images.begin(), images.end(), is_it);
      if (found == images.end()) continue;
      const auto second = std::find_if(found + 1, images.end(), is_it);
      if (second != images.end()) ambiguous((*found)->name, (*second)->name, "image", "image_key");
      for (const File* file : images)
        if (file != *found) leave_out(*file);
      return {*found};
    }
    if (!draft.files.empty())
      add_left_out(left_out, "samples without the image that --image_key names", Weight::lost,
                   draft.files.front().name);
    return {};
  }

  if (images.empty()) {
    for (const File* file : unread) add_other_file(left_out, file->name);
    for (const File& file : draft.files)
      if (unread.empty() && !file.label.empty())
        add_left_out(left_out, "labels without an image that is read", Weight::lost, file.name);
    return {};
  }
  for (const File* file : unread) leave_out(*file);
  const auto claim = [](const File* file) {
    const std::ptrdiff_t words = depth(file->field);
    // Words before the type say what an image is, and then its type does not.
    return std::pair(words, words == 0 ? image_rank(file->field) : 0);
  };
  std::stable_sort(images.begin(), images.end(),
                   [&](const File* a, const File* b) { return claim(a) < claim(b); });
  const bool rivals = images.size() > 1 && claim(images[0]) == claim(images[1]);
  if (!rivals) {
    for (std::size_t i = 1; i < images.size(); ++i) leave_out(*images[i]);
    return {images.front()};
  }
  // Nothing but images: their names have dots in them, and each is an image of its own.
  const bool structured = draft.others || draft.files.size() > images.size() + unread.size();
  if (structured) ambiguous(images[0]->name, images[1]->name, "image", "image_key");
  return images;
}

std::string SampleCollector::label_of(const Draft& draft, const File& image) const {
  // A file for labels alone before JSON; the fewest words; one named like the image.
  std::vector<const File*> files;
  for (const File& file : draft.files)
    if (file.is_label && !file.label.empty()) files.push_back(&file);
  if (files.empty()) return "";
  const auto claim = [&](const File* file) {
    const auto key = std::find(label_keys_.begin(), label_keys_.end(), file->field);
    const bool json = extension_of(file->name) == "json";
    const std::ptrdiff_t order = label_keys_.empty()        ? json
                                 : key == label_keys_.end() ? 1'000
                                                            : key - label_keys_.begin();
    const bool named_alike = stem_of(file->field) == stem_of(image.field);
    return std::tuple(order, !named_alike, depth(file->field));
  };
  std::stable_sort(files.begin(), files.end(),
                   [&](const File* a, const File* b) { return claim(a) < claim(b); });
  if (files.size() > 1 && claim(files[0]) == claim(files[1]) && files[0]->label != files[1]->label)
    ambiguous(files[0]->name, files[1]->name, "label", "label_key");
  return files.front()->label;
}

std::vector<Sample> SampleCollector::finish(std::vector<LeftOut>& left_out) {
  std::vector<std::pair<std::int64_t, Sample>> samples;
  for (const Draft& draft : drafts_) {
    const std::vector<const File*> images = images_of(draft, left_out_);
    for (const File& file : draft.files)
      if (!file.understood && !images.empty())
        add_left_out(left_out_, "labels that are not understood", Weight::lost, file.name);
    for (const File* image : images) {
      // "CLASS.tar/" of an inner archive, else the image's own folder.
      const std::string place = draft.inside.empty()
                                    ? folder_of(image->name)
                                    : fs::path(draft.inside).parent_path().stem().string();
      samples.emplace_back(image->position, Sample{image->name, label_of(draft, *image), place,
                                                   image->offset, image->size});
    }
  }
  std::sort(samples.begin(), samples.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<Sample> result;
  result.reserve(samples.size());
  for (auto& [position, sample] : samples) result.push_back(std::move(sample));
  add_left_out(left_out, left_out_);
  return result;
}

}  // namespace sgmae
