#include "sgmae/mask/relevance_pass.h"

#include <ATen/TensorOperators.h>

#include <algorithm>
#include <chrono>

#include "sgmae/base/error.h"
#include "sgmae/base/json.h"
#include "sgmae/base/log.h"
#include "sgmae/base/rng.h"

namespace sgmae {

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

nlohmann::json PositionBias::state() const {
  return {{"count", count_}, {"images", images_}, {"degenerate", degenerate_}};
}

void PositionBias::restore(const nlohmann::json& state) {
  count_ = json_numbers(state.at("count"));
  images_ = state.at("images");
  degenerate_ = state.at("degenerate");
}

void warn_of_position(const PositionBias& bias, ObjectRule object) {
  if (object == ObjectRule::inside || object == ObjectRule::hardest) return;
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
  std::int64_t images = 0;
  for (Batch batch; next(batch);) {
    if (batch.size() == 0) continue;
    const at::Tensor pixels = batch.pixels.to(model.encoder().device(), /*non_blocking=*/true);
    const at::Tensor sum =
        guide_features(model, pixels, options, batch.index).sum(0, false, at::kDouble);
    total = total.defined() ? total + sum : sum;
    images += batch.size();
  }
  check(images > 0, ExitCode::data,
        "no image could be read to estimate the position means; check data_path");
  return (total / static_cast<double>(images)).to(at::kCPU, at::kFloat);
}

RelevancePassStats make_relevance_maps(const Mae& model, const GuideOptions& options,
                                       const at::Tensor& position_mean, const NextBatch& next,
                                       const std::filesystem::path& path, const MapInfo& info,
                                       const std::function<void(std::int64_t)>& progress) {
  const auto begin = std::chrono::steady_clock::now();
  RelevanceMapWriter writer(path, info, position_mean);
  RelevancePassStats stats;
  PositionBias bias;
  const auto n = static_cast<std::size_t>(info.rows * info.columns);
  for (Batch batch; next(batch);) {
    if (batch.size() == 0) continue;
    const Guide guide = make_guide(model, batch.pixels, options, position_mean, batch.index);
    bias.add(guide.object_side, guide.degenerate);
    const at::Tensor relevance = guide.relevance.to(at::kCPU).contiguous();
    for (std::int64_t i = 0; i < batch.size(); ++i)
      writer.put(batch.index[i], {relevance.data_ptr<float>() + i * n, n});
    stats.images += batch.size();
    stats.exact_solves += guide.exact_solves;
    if (progress) progress(stats.images);
  }
  writer.commit();
  stats.unreadable = info.images - stats.images;
  if (stats.unreadable > 0)
    warn(stats.unreadable, " of ", info.images,
         " images cannot be read and have no relevance map; should they become readable, their "
         "masks are random until maps are made again");
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
