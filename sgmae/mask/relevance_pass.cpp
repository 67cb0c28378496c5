#include "sgmae/mask/relevance_pass.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <chrono>
#include <optional>

#include "sgmae/base/error.h"
#include "sgmae/base/json.h"
#include "sgmae/base/log.h"
#include "sgmae/base/rng.h"
#include "sgmae/parallel/process_group.h"

namespace sgmae {
namespace {

// The sum [...] over processes of the rows [1, ...] fp64 of those that have one, whose shape the
// others need not know; undefined where nobody has one.
at::Tensor sum_of_rows(const at::Tensor& own) {
  const bool has = own.defined() && own.size(0) > 0;
  if (processes().size() == 1) return has ? own[0].clone() : at::Tensor();
  nlohmann::json shape = nlohmann::json::array();
  if (has) shape = own.sizes().vec();
  for (const std::string& one : processes().gather(shape.dump()))
    if (const auto other = nlohmann::json::parse(one); shape.empty()) shape = other;
  if (shape.empty()) return {};
  const at::Tensor sum = has ? own.contiguous().clone()
                             : at::zeros(shape.get<std::vector<std::int64_t>>(), at::kDouble);
  processes().sum(sum);
  return sum[0];
}

}  // namespace

void PositionBias::add(const at::Tensor& object_side, const std::vector<std::uint8_t>& degenerate) {
  const at::Tensor side = object_side.to(at::kCPU, at::kByte).contiguous();
  const std::int64_t n = side.size(1);
  count_.resize(n, 0.0);
  SGMAE_ASSERT(static_cast<std::int64_t>(count_.size()) == n);
  const std::uint8_t* from = side.data_ptr<std::uint8_t>();
  for (std::int64_t image = 0; image < side.size(0); ++image, from += n) {
    if (degenerate[image]) {
      ++degenerate_;
      continue;
    }
    for (std::int64_t p = 0; p < n; ++p) count_[p] += from[p];
    ++images_;
  }
}

double PositionBias::object_share() const {
  if (images_ == 0) return 0;
  double total = 0;
  for (const double count : count_) total += count;
  return total / static_cast<double>(images_) / static_cast<double>(count_.size());
}

double PositionBias::value() const {
  if (images_ == 0) return 0;
  const double share = object_share();
  double squares = 0;
  for (const double count : count_) {
    const double difference = count / static_cast<double>(images_) - share;
    squares += difference * difference;
  }
  return squares / static_cast<double>(count_.size());
}

double PositionBias::by_chance() const {
  const double share = object_share();
  return images_ == 0 ? 0 : share * (1 - share) / static_cast<double>(images_);
}

bool PositionBias::follows_position() const {
  return value() - by_chance() > kPositionBiasWarning;
}

void PositionBias::sum_over_processes() {
  std::vector<double> own = count_;
  own.insert(own.end(), {static_cast<double>(images_), static_cast<double>(degenerate_)});
  // One that has met no image knows no grid.
  if (count_.empty()) own.clear();
  const at::Tensor all = sum_of_rows(at::from_blob(
      own.data(), {own.empty() ? 0 : 1, static_cast<std::int64_t>(own.size())}, at::kDouble));
  if (!all.defined()) return;
  const double* sums = all.const_data_ptr<double>();
  count_.assign(sums, sums + all.numel() - 2);
  images_ = static_cast<std::int64_t>(sums[all.numel() - 2]);
  degenerate_ = static_cast<std::int64_t>(sums[all.numel() - 1]);
}

nlohmann::json PositionBias::state() const {
  return {{"count", count_}, {"images", images_}, {"degenerate", degenerate_}};
}

void PositionBias::restore(const nlohmann::json& state) {
  count_ = json_numbers(state.at("count"));
  images_ = state.at("images");
  degenerate_ = state.at("degenerate");
}

void warn_of_position(const PositionBias& bias, ObjectRule object) {
  if (object == ObjectRule::inside || object == ObjectRule::hardest || !processes().leads()) return;
  warn("guidance follows position rather than content: the object side varies over the grid by ",
       fixed(bias.value(), 4), " (chance ", fixed(bias.by_chance(), 4), ", warning threshold ",
       fixed(kPositionBiasWarning, 2),
       "). Unless the objects of these images are all in the same place, start guidance later, or "
       "try another --guide_features or --guide_center (least positional as a rule: block_out, "
       "position)");
}

std::vector<std::int64_t> position_sample(std::int64_t images, std::int64_t count,
                                          std::uint64_t seed, std::int64_t epoch) {
  std::vector<std::int64_t> drawn = Rng(seed, epoch, 0, Purpose::probe).permutation(images);
  drawn.resize(std::min(images, count));
  std::sort(drawn.begin(), drawn.end());
  return drawn;
}

at::Tensor estimate_position_mean(const Mae& model, const GuideOptions& options,
                                  const NextBatch& next) {
  at::Tensor total;
  std::int64_t own = 0;
  processes().together([&] {
    for (Batch batch; next(batch);) {
      if (batch.size() == 0) continue;
      const at::Tensor pixels = batch.pixels.to(model.encoder().device(), /*non_blocking=*/true);
      const at::Tensor sum =
          guide_features(model, pixels, options, batch.index).sum(0, false, at::kDouble);
      total = total.defined() ? total + sum : sum;
      own += batch.size();
    }
  });
  const auto images = static_cast<std::int64_t>(processes().sum(static_cast<double>(own)));
  check(images > 0, ExitCode::data,
        "no image could be read to estimate the position means; check data_path");
  // One row for each process that has images.
  const at::Tensor mine = total.defined() ? total.cpu().unsqueeze(0) : at::Tensor();
  const at::Tensor all = sum_of_rows(mine);
  return (all / static_cast<double>(images)).to(at::kFloat);
}

std::int64_t write_maps(const std::function<at::Tensor(const Batch&)>& look, const NextBatch& next,
                        const std::filesystem::path& path, const MapInfo& info,
                        const at::Tensor& position_mean) {
  std::optional<RelevanceMapWriter> writer;
  processes().leader([&] { writer.emplace(path, info, position_mean); });
  const std::int64_t n = info.rows * info.columns;
  std::int64_t images = 0;
  // In rounds, after each of which process 0 gets everybody's maps.
  constexpr std::int64_t images_per_round = 4096;
  for (bool more = true; more;) {
    std::vector<std::int64_t> index;
    std::vector<at::Tensor> maps;
    bool own_more = true;
    processes().together([&] {
      Batch batch;
      while (static_cast<std::int64_t>(index.size()) < images_per_round &&
             (own_more = next(batch))) {
        if (batch.size() == 0) continue;
        maps.push_back(look(batch).to(at::kCPU, at::kFloat).reshape({batch.size(), n}));
        index.insert(index.end(), batch.index.begin(), batch.index.end());
        images += batch.size();
      }
    });
    const auto count = static_cast<std::int64_t>(index.size());
    const std::vector<at::Tensor> places =
        processes().gather(at::from_blob(index.data(), {count}, at::kLong));
    const std::vector<at::Tensor> parts =
        processes().gather(maps.empty() ? at::empty({0, n}) : at::cat(maps));
    processes().leader([&] {
      for (std::size_t part = 0; part < parts.size(); ++part)
        for (std::int64_t i = 0; i < places[part].numel(); ++i)
          writer->put(places[part].const_data_ptr<std::int64_t>()[i],
                      {parts[part].const_data_ptr<float>() + i * n, static_cast<std::size_t>(n)});
    });
    more = processes().sum(own_more) > 0;
  }
  processes().leader([&] { writer->commit(); });
  images = static_cast<std::int64_t>(processes().sum(static_cast<double>(images)));
  if (images < info.images && processes().leads())
    warn(info.images - images, " of ", info.images,
         " images cannot be read and have no relevance map; should they become readable, their "
         "masks are random until maps are made again");
  return images;
}

RelevancePassStats make_relevance_maps(const Mae& model, const GuideOptions& options,
                                       const at::Tensor& position_mean, const NextBatch& next,
                                       const std::filesystem::path& path, const MapInfo& info) {
  const auto begin = std::chrono::steady_clock::now();
  RelevancePassStats stats;
  PositionBias bias;
  const auto look = [&](const Batch& batch) {
    const Guide guide = make_guide(model, batch.pixels, options, position_mean, batch.index);
    bias.add(guide.object_side, guide.degenerate);
    stats.exact_solves += guide.exact_solves;
    return guide.relevance;
  };
  stats.images = write_maps(look, next, path, info, position_mean);
  stats.unreadable = info.images - stats.images;
  bias.sum_over_processes();
  stats.exact_solves =
      static_cast<std::int64_t>(processes().sum(static_cast<double>(stats.exact_solves)));
  stats.degenerate = bias.degenerate();
  stats.position_bias = bias.value();
  stats.bias_by_chance = bias.by_chance();
  stats.object_share = bias.object_share();
  stats.follows_position = bias.follows_position();
  if (stats.follows_position) warn_of_position(bias, options.object);
  stats.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return stats;
}

}  // namespace sgmae
