// sgmae duplicates: images that are there twice, or nearly so.
#include <algorithm>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>

#include "cli/command.h"
#include "sgmae/base/file.h"
#include "sgmae/base/log.h"
#include "sgmae/eval/duplicates.h"
#include "sgmae/eval/embed_task.h"
#include "sgmae/eval/nearest.h"
#include "sgmae/report/neighbour_page.h"

namespace sgmae {
namespace {

using Groups = std::vector<std::vector<std::int64_t>>;

constexpr std::size_t most_said = 20, most_drawn = 100;  // groups
constexpr std::size_t most_in_row = 12;                  // pictures

struct DuplicatesOptions {
  std::string html;
  double threshold = 0.98;
  bool centre = true;
  EmbedTask task;

  void declare(Options& o) {
    task.declare(o);
    o.section("duplicates");
    o.add("threshold", threshold,
          "images count as nearly the same whose features have at least this cosine");
    o.add("centre", centre,
          "take the mean of all features off each first: what all images share says nothing");
    o.add("html", html, "page to write, with pictures of the groups");
    o.section("run");
    task.compute.declare(o);
  }
};

// Features without what all of them have in common; rows that are not finite stay so. Of images
// that are all alike nothing but noise would be left: these stay as they are.
at::Tensor centred(const at::Tensor& features) {
  constexpr double alike = 0.03;  // of the mean's length; a photo saved again is nearer
  const at::Tensor mean = features.nanmean({0}, /*keepdim=*/true), rest = features.sub(mean);
  const at::Tensor far = rest.norm(2, {1}).gt(mean.norm().mul(alike));
  if (far.any().item<bool>()) return rest;
  info("all images are alike; what they share is left in");
  return features;
}

void write_page(const std::string& path, const Source& images, const Groups& groups,
                const std::function<std::string(std::int64_t)>& name,
                const std::function<std::string(std::int64_t, std::int64_t)>& likeness) {
  std::vector<NeighbourSection> sections;
  for (const auto& group : groups) {
    if (sections.size() == most_drawn) break;
    NeighbourSection section{.heading = str(group.size(), " images"),
                             .text = "",
                             .row = {},
                             .table = {.head = {"image", ""}, .rows = {}}};
    for (const std::int64_t member : group) {
      const std::string like = member == group.front() ? "" : likeness(group.front(), member);
      if (section.row.size() < most_in_row)
        section.row.push_back({.image = neighbour_thumbnail(images, member), .caption = like});
      section.table.rows.push_back({name(member), like});
    }
    sections.push_back(std::move(section));
  }
  const std::string more = groups.size() > most_drawn ? str(", the first ", most_drawn) : "";
  write_file(path, neighbour_page(str("Duplicates: ", groups.size(), " groups", more), sections));
  info("wrote ", path);
}

nlohmann::ordered_json run_duplicates(DuplicatesOptions options,
                                      const std::vector<std::string>& arguments) {
  check(options.threshold > 0 && options.threshold <= 1, ExitCode::usage,
        "threshold must be above 0 and at most 1, but is ", options.threshold);
  EmbedTask& task = options.task;
  task.data.check();
  std::optional<Embedding> embedding;
  std::unique_ptr<Source> source;
  if (arguments.size() == 1 && is_embedding(arguments[0])) {
    check(task.checkpoint.empty(), ExitCode::usage, arguments[0],
          " has features already; leave out --checkpoint");
    use_threads(task.compute.threads);
    embedding = read_embedding(arguments[0]);
    source = images_of(*embedding);
  } else {
    check(task.features != TokenFeatures::patches, ExitCode::usage,
          "images are compared by one vector each; choose --features mean or cls");
    const std::vector<std::string> files = task.take_images(arguments);
    source = open_images(task, files);
    if (!task.checkpoint.empty()) embedding = embed_images(task, files, "");
  }

  const Groups equal = equal_images(*source, std::max(1, task.data.num_workers));
  std::optional<NearestRows> rows;
  Groups near;
  if (embedding) {
    rows.emplace(options.centre ? centred(embedding->features) : embedding->features);
    near = rows->groups(options.threshold);
  } else {
    info("only equal files are looked for; --checkpoint finds images that look the same, too");
  }
  const Groups groups = joined_groups(equal, near);

  std::vector<std::int64_t> of_bytes(static_cast<std::size_t>(source->size()), -1);
  for (const auto& group : equal)
    for (const std::int64_t member : group)
      of_bytes[static_cast<std::size_t>(member)] = group.front();
  const auto same_bytes = [&](std::int64_t a, std::int64_t b) {
    const std::int64_t of = of_bytes[static_cast<std::size_t>(a)];
    return of >= 0 && of == of_bytes[static_cast<std::size_t>(b)];
  };
  const auto likeness = [&](std::int64_t first, std::int64_t member) {
    return same_bytes(first, member) ? "the same file"
                                     : "cosine " + fixed(rows->cosine(first, member), 3);
  };

  const auto name = [&](std::int64_t member) {  // as they were called when they were embedded
    return embedding ? embedding->names[static_cast<std::size_t>(member)] : source->name(member);
  };
  std::int64_t surplus = 0;
  nlohmann::ordered_json listed = nlohmann::ordered_json::array();
  for (const auto& group : groups) {
    surplus += std::ssize(group) - 1;
    nlohmann::ordered_json members = nlohmann::ordered_json::array();
    if (listed.size() < most_said) info(group.size(), " images:");
    for (const std::int64_t member : group) {
      const bool first = member == group.front();
      if (listed.size() < most_said)
        info("  ", name(member), first ? "" : "  (" + likeness(group.front(), member) + ")");
      nlohmann::ordered_json entry{{"row", member}, {"path", name(member)}};
      entry["same_file"] = !first && same_bytes(group.front(), member);
      if (rows && !first) entry["cosine"] = rows->cosine(group.front(), member);
      members.push_back(std::move(entry));
    }
    listed.push_back(std::move(members));
  }
  if (groups.size() > most_said)
    info("and ", groups.size() - most_said, " more groups; --json lists all, --html shows them");
  info(groups.size(), " groups of duplicates among ", source->size(), " images; ", surplus,
       " images are surplus",
       equal.empty() ? "" : str("; ", equal.size(), " groups have equal files"));
  if (!options.html.empty()) write_page(options.html, *source, groups, name, likeness);
  return {{"images", source->size()},
          {"groups", std::move(listed)},
          {"surplus", surplus},
          {"equal_groups", equal.size()}};
}

}  // namespace

Command duplicates_command() {
  const auto options = std::make_shared<DuplicatesOptions>();
  Command command;
  options->declare(command.options);
  command.positional_help = "FOLDER, INDEX or IMAGES…";
  command.run = [options](const std::vector<std::string>& arguments) {
    return run_duplicates(*options, arguments);
  };
  return command;
}

}  // namespace sgmae
