// Images in class folders (ImageFolder), or flat.
#include <algorithm>
#include <cstdint>
#include <ctime>
#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sys/stat.h>

#include "sgmae/base/error.h"
#include "sgmae/data/bytes.h"
#include "sgmae/data/cache.h"
#include "sgmae/data/file_type.h"
#include "sgmae/data/files.h"
#include "sgmae/data/formats.h"
#include "sgmae/data/left_out.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

// Nanoseconds since 1970 of the last change of a folder's list of names; -1 where it has none.
std::int64_t changed_at(const fs::path& folder) {
  struct stat status {};
  if (::stat(folder.c_str(), &status) != 0) return -1;
  return static_cast<std::int64_t>(status.st_mtim.tv_sec) * 1'000'000'000 + status.st_mtim.tv_nsec;
}

std::int64_t now() {
  struct timespec time {};
  ::clock_gettime(CLOCK_REALTIME, &time);
  return static_cast<std::int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

// What lies below a folder. Both lists are in the order of the walk.
struct Scan {
  struct Visited {
    std::string path;  // relative to the root
    std::int64_t changed = 0;
  };
  std::vector<Visited> folders;
  std::vector<std::string> images;  // relative to the root
  std::vector<LeftOut> left_out;
};

using Weight = LeftOut::Weight;

// Adds the images below root/folder. Each real folder is visited once, so links cannot loop;
// `above` are the real folders on the way to this one. False where it is not visited.
using IsImage = bool (*)(std::string_view path);
bool scan(const fs::path& root, const fs::path& folder, IsImage is_image,
          std::vector<fs::path>& above, std::set<fs::path>& visited, Scan& found) {
  std::error_code error;
  fs::path real = fs::canonical(root / folder, error);
  const std::string shown = folder.string() + "/";
  if (error) {
    add_left_out(found.left_out, "folders that cannot be read", Weight::lost, shown);
    return false;
  }
  if (!visited.insert(real).second) {
    const bool loop = std::find(above.begin(), above.end(), real) != above.end();
    add_left_out(found.left_out,
                 loop ? "links to a folder above" : "links to a folder that is read already",
                 loop ? Weight::by_rule : Weight::lost, shown);
    return false;
  }
  found.folders.push_back({folder.string(), changed_at(root / folder)});
  const Listing listing = look_into(root / folder);
  if (!listing.read)
    add_left_out(found.left_out, "folders that cannot be read", Weight::lost, shown);
  for (const std::string& name : listing.hidden)
    add_left_out(found.left_out, "hidden files and folders", Weight::by_rule,
                 (folder / name).string());
  above.push_back(std::move(real));
  for (const auto& [name, is_a_folder] : listing.entries) {
    const fs::path path = folder / name;
    const std::size_t images = found.images.size();
    if (is_a_folder) {
      const bool visited_now = scan(root, path, is_image, above, visited, found);
      if (visited_now && folder.empty() && found.images.size() == images)
        add_left_out(found.left_out, "folders without an image", Weight::told, path.string() + "/");
    } else if (is_image(name)) {
      found.images.push_back(path.string());
    } else {
      add_other_file(found.left_out, path.string());
    }
  }
  above.pop_back();
  return true;
}

Scan scan_all(const fs::path& folder, IsImage is_image) {
  Scan found;
  std::vector<fs::path> above;
  std::set<fs::path> visited;
  scan(folder, {}, is_image, above, visited, found);
  return found;
}

// A walk through a million files takes minutes on a network disk, a look at a thousand folders does
// not. So the walk is kept and trusted while no folder has changed since.
constexpr std::size_t images_worth_keeping = 2'000;

CachePlace place_of(const fs::path& root) {
  // Not in the folder itself: writing there would change it.
  return {.about = root, .kind = "folder", .version = 2, .beside = false};
}

bool read_scan(const fs::path& root, Scan& found) {
  const auto bytes = read_cache(place_of(root));
  if (!bytes) return false;
  try {
    ByteReader reader(*bytes);
    for (std::size_t left = reader.count(12); left > 0; --left) {
      Scan::Visited folder{reader.text(), reader.number<std::int64_t>()};
      if (changed_at(root / folder.path) != folder.changed) return false;
      found.folders.push_back(std::move(folder));
    }
    for (std::size_t left = reader.count(4); left > 0; --left)
      found.images.push_back(reader.text());
    found.left_out = read_left_out(reader);
    return true;
  } catch (const Error&) {
    return false;
  }
}

void keep_scan(const fs::path& root, const Scan& found, std::int64_t begun) {
  if (found.images.size() < images_worth_keeping) return;
  // File systems stamp changes coarsely: a folder changed within moments of the walk could change
  // again without showing it.
  constexpr std::int64_t moments = 3'000'000'000;
  ByteWriter writer;
  writer.count(found.folders.size());
  for (const auto& [path, changed] : found.folders) {
    if (changed < 0 || changed > begun - moments) return;
    writer.text(path);
    writer.number(changed);
  }
  writer.count(found.images.size());
  for (const std::string& path : found.images) writer.text(path);
  write_left_out(writer, found.left_out);
  write_cache(place_of(root), writer.bytes());
}

}  // namespace

std::unique_ptr<Source> open_folder(const fs::path& folder) {
  Scan found;
  if (!read_scan(folder, found)) {
    const std::int64_t begun = now();
    found = scan_all(folder, has_image_extension);
    // Arrays count where there is nothing else: beside images they are made of these.
    if (found.images.empty())
      if (Scan arrays = scan_all(folder, has_array_extension); !arrays.images.empty())
        found = std::move(arrays);
    keep_scan(folder, found, begun);
  }
  if (found.images.empty()) {
    for (const LeftOut& entry : found.left_out)
      if (const std::string container = container_named(entry.example); !container.empty())
        fail(ExitCode::data, "no image in ", folder.string(), " or below it; ", entry.example,
             entry.count > 1 ? str(" (one of ", entry.count, ")") : "", " ", container);
    const std::string others = describe(found.left_out, Weight::by_rule);
    fail(ExitCode::data, "no image in ", folder.string(),
         " or below it; expected image files such as .jpg or .png, for example ", folder.string(),
         "/CLASS/NAME.jpg", others.empty() ? "" : "; found ", others);
  }
  std::vector<std::string> words;
  words.reserve(found.images.size());
  for (const std::string& path : found.images) {
    const std::size_t slash = path.find('/');
    words.push_back(slash == std::string::npos ? "" : path.substr(0, slash));
  }
  return std::make_unique<FileSource>(folder, std::move(found.images), number_by_name(words),
                                      std::move(found.left_out));
}

}  // namespace sgmae
