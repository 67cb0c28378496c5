#include "sgmae/eval/knn_task.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "sgmae/base/log.h"
#include "sgmae/base/number_list.h"
#include "sgmae/base/progress.h"
#include "sgmae/base/signals.h"
#include "sgmae/eval/nearest.h"
#include "sgmae/eval/neighbour_sheet.h"
#include "sgmae/parallel/process_group.h"

namespace sgmae {
namespace {

std::vector<std::int64_t> draw(std::int64_t images, std::int64_t count) {
  if (count <= 0 || count >= images) return {};
  Rng rng(0, 0, 0, Purpose::probe);
  std::vector<std::int64_t> chosen = rng.permutation(images);
  chosen.resize(static_cast<std::size_t>(count));
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

// "1,5,20" as votes without weights.
std::vector<KnnOptions> plain_votes(const std::string& list) {
  std::vector<KnnOptions> votes;
  for (const std::int64_t k : numbers_of<std::int64_t>(list, "plain_k")) {
    check(k >= 1, ExitCode::usage, "plain_k has ", k, " neighbours; write e.g. 1,5,20");
    votes.push_back({.k = k, .temperature = 0});
  }
  return votes;
}

// Both parts, and how each is read.
struct KnnImages {
  LabelledSources sources;
  LoaderOptions train, test;
  std::int64_t keys = 0;  // training images
};

KnnImages open_images(const VitConfig& config, const Normalisation& normalisation,
                      const KnnTask& task) {
  task.check();  // refused before the work, not after
  KnnImages images{
      .sources = open_labelled(task.data.read_as(normalisation)), .train = {}, .test = {}};
  const auto loader = [&](const Source& source) {
    return evaluation_loader(task.data, source, config, normalisation, task.batch_size);
  };
  const std::int64_t all = images.sources.train->size();
  images.train = loader(*images.sources.train);
  images.train.subset = draw(all, task.max_train);
  images.test = loader(*images.sources.test);
  images.keys =
      images.train.subset.empty() ? all : static_cast<std::int64_t>(images.train.subset.size());
  return images;
}

// Some test images, each beside the training images that are nearest to it.
Image draw_neighbours(const LabelledSources& sources, const Features& train, const Features& test,
                      const KnnTask& task) {
  constexpr std::int64_t shown = 8;  // of each
  std::vector<std::int64_t> queries = draw(test.cls.size(0), task.pictures);
  if (queries.empty()) {  // all
    queries.resize(static_cast<std::size_t>(test.cls.size(0)));
    std::iota(queries.begin(), queries.end(), std::int64_t{0});
  }
  const std::vector<std::vector<Neighbour>> found =
      NearestRows(features_of(train, task.features))
          .find(features_of(test, task.features).index_select(0, at::tensor(queries, at::kLong)),
                shown);
  const std::vector<std::string>& names = sources.train->class_names();
  std::vector<NeighbourRow> rows;
  for (std::size_t q = 0; q < queries.size(); ++q) {
    const auto query = static_cast<std::size_t>(queries[q]);
    const std::int64_t truth = test.label[query];
    NeighbourRow row{{.image = neighbour_thumbnail(*sources.test, test.index[query]),
                      .caption = class_name(names, truth)}};
    for (const auto& [key, cosine] : found[q]) {
      const auto place = static_cast<std::size_t>(key);
      row.push_back({.image = neighbour_thumbnail(*sources.train, train.index[place]),
                     .caption = fixed(cosine, 2) + " " + class_name(names, train.label[place]),
                     .mark = train.label[place] == truth ? NeighbourPicture::Mark::right
                                                         : NeighbourPicture::Mark::wrong});
    }
    rows.push_back(std::move(row));
  }
  return neighbour_sheet(rows, "Test images, and the training images most like them (cosine)");
}

// [M, C*H*W] fp32, and the labels.
std::pair<at::Tensor, std::vector<std::int64_t>> pixels_of(const Source& source,
                                                           const LoaderOptions& options) {
  Loader loader(source, options);
  loader.start_epoch(0);
  std::vector<at::Tensor> rows;
  std::vector<std::int64_t> labels;
  Progress progress("pixels", loader.batches_per_epoch() * options.batch_size);
  for (Batch batch; loader.next(batch);) {
    if (stop_requested()) throw StopRequested();
    rows.push_back(batch.pixels.flatten(1).clone());
    labels.insert(labels.end(), batch.label.begin(), batch.label.end());
    progress.show(static_cast<std::int64_t>(labels.size()));
  }
  check(!rows.empty(), ExitCode::data, "there are no images to compare");
  return {at::cat(rows), labels};
}

}  // namespace

void KnnTask::declare(Options& o) {
  data.declare(o);
  o.add("batch_size", batch_size, "images per forward pass");
  o.add("max_train", max_train, "training images to use, drawn at random; 0: all");
  o.section("knn");
  o.add("k", knn.k, "neighbours that vote; all training images where there are fewer");
  o.add("temperature", knn.temperature,
        "a vote weighs exp(cosine / temperature); 0: all votes weigh the same");
  o.add("plain_k", plain_k,
        "further tests with these numbers of neighbours and equal votes, e.g. 1,5,20");
  o.add("pictures", pictures,
        "test images, drawn at random, that are shown with their neighbours; 0: none");
  o.add("features", features, {{"mean", FeatureKind::mean}, {"cls", FeatureKind::cls}},
        "of the score reported first: mean of the patch tokens, or the class token; both are "
        "measured");
}

void KnnTask::check() const {
  data.check();
  sgmae::check(batch_size >= 1, ExitCode::usage, "batch_size must be at least 1, not ", batch_size);
  sgmae::check(max_train >= 0, ExitCode::usage, "max_train must not be negative, but is ",
               max_train, "; 0 takes all training images");
  sgmae::check(knn.k >= 1, ExitCode::usage, "k must be at least 1, not ", knn.k);
  sgmae::check(knn.temperature >= 0, ExitCode::usage, "temperature must not be negative, but is ",
               knn.temperature);
  sgmae::check(pictures >= 0, ExitCode::usage, "pictures must not be negative, but is ", pictures);
  plain_votes(plain_k);
}

KnnScore score_knn(const Features& train, const Features& test, std::int64_t classes,
                   const KnnTask& task) {
  std::vector<KnnOptions> votes{task.knn};
  if (const std::int64_t all = train.cls.size(0); votes[0].k > all) {
    votes[0].k = all;
    if (processes().leads())
      warn_once("k", str("k is ", all, ", not ", task.knn.k,
                         ": there are no more training images that can be read"));
  }
  for (const KnnOptions& plain : plain_votes(task.plain_k)) {
    if (plain.k <= train.cls.size(0))
      votes.push_back(plain);
    else if (processes().leads())
      warn_once(str("plain_k ", plain.k, " is left out: there are only ", train.cls.size(0),
                    " training images that can be read"));
  }
  KnnScore score;
  score.train_images = static_cast<std::int64_t>(train.label.size());
  score.test_images = static_cast<std::int64_t>(test.label.size());
  score.unreadable_train_images = train.unreadable;
  score.unreadable_test_images = test.unreadable;
  // Each process looks up the neighbours of its part of the test images.
  const std::int64_t of = processes().size(), rank = processes().rank(),
                     begin = rank * score.test_images / of,
                     end = (rank + 1) * score.test_images / of;
  for (const FeatureKind kind : {FeatureKind::mean, FeatureKind::cls}) {
    if (kind == task.features) score.chosen = score.rows.size();
    std::vector<ClassificationCounts> counts(votes.size(), ClassificationCounts(classes));
    processes().together([&] {
      if (begin < end)
        counts = knn_classify(
            features_of(train, kind), train.label, features_of(test, kind).slice(0, begin, end),
            {test.label.begin() + begin, test.label.begin() + end}, classes, votes);
    });
    for (std::size_t i = 0; i < votes.size(); ++i) {
      counts[i].sum_over_processes();
      score.rows.push_back({kind, votes[i], counts[i]});
    }
  }
  return score;
}

KnnScore run_knn(const Encoder& encoder, const Normalisation& normalisation, const KnnTask& task) {
  const KnnImages images = open_images(encoder.config(), normalisation, task);
  const Features train = extract_features(encoder, *images.sources.train, images.train),
                 test = extract_features(encoder, *images.sources.test, images.test);
  KnnScore score = score_knn(train, test, images.sources.classes, task);
  score.class_names = images.sources.train->class_names();
  processes().leader([&] {
    if (task.pictures > 0) score.neighbours = draw_neighbours(images.sources, train, test, task);
  });
  return score;
}

std::optional<double> pixel_knn_acc1(const VitConfig& config, const Normalisation& normalisation,
                                     const KnnTask& task) {
  constexpr std::int64_t most_values = std::int64_t{1} << 28;  // 1 GiB of fp32
  const KnnImages images = open_images(config, normalisation, task);
  if (images.keys * config.channels * config.height * config.width > most_values)
    return std::nullopt;
  nlohmann::json top1;  // found by process 0
  processes().leader([&] {
    const auto [train, train_labels] = pixels_of(*images.sources.train, images.train);
    const auto [test, test_labels] = pixels_of(*images.sources.test, images.test);
    KnnOptions vote = task.knn;
    vote.k = std::min(vote.k, train.size(0));
    top1 = knn_classify(train, train_labels, test, test_labels, images.sources.classes, {vote})
               .front()
               .top1();
  });
  return nlohmann::json::parse(processes().of_leader(top1.dump())).get<double>();
}

nlohmann::ordered_json to_json(const KnnScore& score) {
  nlohmann::ordered_json table = nlohmann::ordered_json::array();
  for (const KnnRow& row : score.rows)
    table.push_back({{"features", row.features == FeatureKind::cls ? "cls" : "mean"},
                     {"k", row.votes.k},
                     {"temperature", row.votes.temperature},
                     {"acc1", row.counts.top1()},
                     {"acc5", row.counts.top5()},
                     {"class_mean", row.counts.class_mean()}});
  return {{"knn_acc1", score.counts().top1()},
          {"knn_class_mean", score.counts().class_mean()},
          {"train_images", score.train_images},
          {"unreadable_train_images", score.unreadable_train_images},
          {"test_images", score.test_images},
          {"unreadable_test_images", score.unreadable_test_images},
          {"table", table},
          {"test", to_json(score.counts(), score.class_names)}};
}

}  // namespace sgmae
