#include "sgmae/data/left_out.h"

#include <algorithm>
#include <cctype>
#include <set>

#include "sgmae/data/file_type.h"

namespace sgmae {
namespace {

// What usually lies beside images and is none.
const std::set<std::string, std::less<>> companions{
    "txt", "json", "jsonl", "xml", "csv", "tsv",  "md",  "html", "htm", "pdf",  "py",  "sh",
    "db",  "ini",  "yaml",  "yml", "log", "toml", "cfg", "cls",  "doc", "docx", "rtf", "sgindex"};

}  // namespace

std::string describe(const std::vector<LeftOut>& left_out, LeftOut::Weight least) {
  std::string text;
  for (const LeftOut& entry : left_out)
    if (entry.weight >= least)
      text += str(text.empty() ? "" : "; ", entry.reason, ": ", entry.count, " (e.g. ",
                  entry.example, ")");
  return text;
}

void add_left_out(std::vector<LeftOut>& all, const std::string& reason, LeftOut::Weight weight,
                  const std::string& example, std::int64_t count) {
  const auto found = std::find_if(all.begin(), all.end(), [&](const LeftOut& entry) {
    return entry.weight == weight && entry.reason == reason;
  });
  if (found != all.end())
    found->count += count;
  else
    all.push_back({reason, weight, count, example});
}

void add_left_out(std::vector<LeftOut>& all, const std::vector<LeftOut>& more) {
  for (const LeftOut& entry : more)
    add_left_out(all, entry.reason, entry.weight, entry.example, entry.count);
}

void add_other_file(std::vector<LeftOut>& all, const std::string& path) {
  const std::string type = extension_of(path);
  if (has_unread_image_extension(path)) {
    add_left_out(all, "images of type ." + type + ", which is not read", LeftOut::Weight::lost,
                 path);
    return;
  }
  // What follows a dot may be anything (v1.25, photo.copy of last year); there may be many such.
  constexpr std::size_t longest_type = 8, most_reasons = 40;
  const auto fits = [](unsigned char c) { return std::isalnum(c) != 0; };
  const bool named = !type.empty() && type.size() <= longest_type && all.size() < most_reasons &&
                     !std::isdigit(static_cast<unsigned char>(type.front())) &&
                     std::all_of(type.begin(), type.end(), fits);
  if (named)
    add_left_out(all, "files of type ." + type,
                 companions.contains(type) ? LeftOut::Weight::by_rule : LeftOut::Weight::told,
                 path);
  else
    add_left_out(all, "files without a known type", LeftOut::Weight::by_rule, path);
}

void write_left_out(ByteWriter& writer, const std::vector<LeftOut>& all) {
  writer.count(all.size());
  for (const LeftOut& entry : all) {
    writer.text(entry.reason);
    writer.number(static_cast<std::uint8_t>(entry.weight));
    writer.number(entry.count);
    writer.text(entry.example);
  }
}

std::vector<LeftOut> read_left_out(ByteReader& reader) {
  std::vector<LeftOut> all(reader.count(17));
  for (LeftOut& entry : all) {
    entry.reason = reader.text();
    const auto weight = reader.number<std::uint8_t>();
    check(weight <= static_cast<std::uint8_t>(LeftOut::Weight::lost), ExitCode::data, "damaged");
    entry.weight = static_cast<LeftOut::Weight>(weight);
    entry.count = reader.number<std::int64_t>();
    entry.example = reader.text();
  }
  return all;
}

}  // namespace sgmae
