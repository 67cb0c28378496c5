// sgmae search: the images most like given ones.
#include <filesystem>
#include <memory>

#include "cli/command.h"
#include "sgmae/base/file.h"
#include "sgmae/base/log.h"
#include "sgmae/eval/embedding.h"
#include "sgmae/eval/nearest.h"
#include "sgmae/report/neighbour_page.h"
#include "sgmae/train/compute.h"

namespace sgmae {
namespace {

struct SearchOptions {
  std::string checkpoint, html;
  std::int64_t k = 10;
  OpenOptions open;
  ComputeOptions compute;

  void declare(Options& o) {
    o.section("model");
    o.add("checkpoint", checkpoint, "the model that embedded the images; empty: where it was then");
    open.declare(o);
    o.section("search");
    o.add("k", k, "neighbours of each image; all where there are fewer");
    o.add("html", html, "page to write, with pictures of the neighbours");
    o.section("run");
    compute.declare(o);
  }
};

std::string name_of(const Embedding& index, std::int64_t row) {
  return index.names[static_cast<std::size_t>(row)];
}

void write_page(const std::string& path, const Embedding& index, const Source& queries,
                const std::vector<std::int64_t>& own_rows,
                const std::vector<std::vector<Neighbour>>& found) {
  using Mark = NeighbourPicture::Mark;
  const std::unique_ptr<Source> images = images_of(index);
  std::vector<NeighbourSection> sections;
  for (std::size_t q = 0; q < found.size(); ++q) {
    const auto query = static_cast<std::int64_t>(q);
    const std::string known = own_rows[q] < 0 ? "" : index.class_of(own_rows[q]);
    NeighbourSection section{.heading = queries.name(query),
                             .text = own_rows[q] < 0 ? ""
                                                     : "It is among the embedded images itself, "
                                                       "which is left out here.",
                             .row = {{.image = neighbour_thumbnail(queries, query),
                                      .caption = known.empty() ? "query" : known}},
                             .table = {.head = {"image", "class", "cosine"}, .rows = {}}};
    for (const auto& [row, cosine] : found[q]) {
      const std::string of = index.class_of(row), shown = fixed(cosine, 3);
      section.row.push_back({.image = neighbour_thumbnail(*images, row),
                             .caption = of.empty() ? shown : shown + " " + of,
                             .mark = known.empty() || of.empty() ? Mark::none
                                     : known == of               ? Mark::right
                                                                 : Mark::wrong});
      section.table.rows.push_back({name_of(index, row), of, fixed(cosine, 5)});
    }
    sections.push_back(std::move(section));
  }
  write_file(path, neighbour_page("Nearest neighbours", sections));
  info("wrote ", path);
}

nlohmann::ordered_json run_search(const SearchOptions& options,
                                  const std::vector<std::string>& arguments) {
  check(arguments.size() >= 2, ExitCode::usage,
        "name a file of features and images: sgmae search INDEX QUERY.jpg…");
  check(options.k >= 1, ExitCode::usage, "k must be at least 1, not ", options.k);
  options.compute.check();
  use_threads(options.compute.threads);
  const std::vector<std::string> queries(arguments.begin() + 1, arguments.end());
  const Embedding index = read_embedding(arguments[0]);
  OpenOptions open = options.open;
  open.height = index.info.height, open.width = index.info.width;
  OpenedModel model =
      open_model(options.checkpoint.empty() ? index.info.checkpoint : options.checkpoint, open);
  place(model, options.compute);
  const at::Tensor features = embed_like(index, model, queries);

  const std::vector<std::int64_t> own_rows = rows_of(index, queries);
  std::vector<std::vector<std::int64_t>> left_out;
  for (const std::int64_t row : own_rows)
    left_out.push_back(row < 0 ? std::vector<std::int64_t>{} : std::vector{row});
  const auto found = NearestRows(index.features).find(features, options.k, left_out);

  nlohmann::ordered_json results = nlohmann::ordered_json::array();
  for (std::size_t q = 0; q < queries.size(); ++q) {
    info(queries[q], own_rows[q] < 0 ? ":" : " (among them itself, and left out):");
    nlohmann::ordered_json neighbours = nlohmann::ordered_json::array();
    for (const auto& [row, cosine] : found[q]) {
      const std::string of = index.class_of(row);
      info("  ", fixed(cosine, 4), "  ", name_of(index, row), of.empty() ? "" : "  (" + of + ")");
      neighbours.push_back({{"row", row},
                            {"path", name_of(index, row)},
                            {"label", index.label[static_cast<std::size_t>(row)]},
                            {"class", of},
                            {"cosine", cosine}});
    }
    results.push_back(
        {{"query", queries[q]}, {"row", own_rows[q]}, {"neighbours", std::move(neighbours)}});
  }
  if (!options.html.empty()) {
    const DataFormat as_trained = DataFormat().read_as(model.info.normalisation());
    write_page(options.html, index, *open_files(queries, as_trained), own_rows, found);
  }
  return {{"index", arguments[0]}, {"images", index.size()}, {"results", std::move(results)}};
}

}  // namespace

Command search_command() {
  const auto options = std::make_shared<SearchOptions>();
  Command command;
  options->declare(command.options);
  command.positional_help = "INDEX QUERY.jpg…";
  command.run = [options](const std::vector<std::string>& arguments) {
    return run_search(*options, arguments);
  };
  return command;
}

}  // namespace sgmae
