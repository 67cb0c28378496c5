#include "sgmae/mask/stored_maps.h"

#include <iterator>
#include <map>
#include <set>
#include <utility>

#include "sgmae/base/error.h"
#include "sgmae/base/log.h"
#include "sgmae/base/progress.h"
#include "sgmae/base/signals.h"
#include "sgmae/train/checkpoint.h"
#include "sgmae/train/shared_pass.h"

namespace sgmae {

namespace fs = std::filesystem;

std::int64_t map_passes(std::int64_t epochs, std::int64_t start, std::int64_t refresh) {
  if (start >= epochs) return 0;
  return refresh > 0 ? 1 + (epochs - 1 - start) / refresh : 1;
}

StoredMaps::StoredMaps(const MaskContext& context, MapInfo kind, std::string words, bool kept,
                       Make make)
    : context_(context),
      kind_(std::move(kind)),
      words_(std::move(words)),
      kept_(kept),
      make_(std::move(make)) {}

fs::path StoredMaps::path() const {
  return context_.folder.maps() / maps_name(*epoch_);
}

MapInfo StoredMaps::info(std::int64_t epoch, const std::string& hash) const {
  MapInfo info = kind_;
  info.images = context_.source.size();
  info.rows = context_.model.config().grid_height();
  info.columns = context_.model.config().grid_width();
  info.model_hash = hash;
  info.epoch = epoch;
  info.data = data_hash(context_.source);
  return info;
}

bool StoredMaps::due(std::int64_t epoch, std::int64_t start, std::int64_t refresh) const {
  if (epoch < start) return false;
  return !epoch_ || (refresh > 0 && *epoch_ < epoch && (epoch - start) % refresh == 0);
}

std::string StoredMaps::make(std::int64_t epoch) {
  return make_with(epoch, context_.model);
}

std::string StoredMaps::make_with(std::int64_t epoch, const Mae& model) {
  const std::string hash = model_hash(model);
  const std::string said =
      make_(model, context_.folder.maps() / maps_name(epoch), info(epoch, hash));
  epoch_ = epoch;
  hash_ = hash;
  open();
  return said;
}

void StoredMaps::open() {
  if (!kept_) return;
  auto maps = std::make_shared<const RelevanceMaps>(path());
  check_maps(maps->info(), info(*epoch_, hash_), path());
  maps_ = std::move(maps);
}

void StoredMaps::save(nlohmann::json& state) const {
  state["looks_at"] = words_;
  state["maps_hash"] = hash_;
  if (epoch_) state["maps_epoch"] = *epoch_;
}

bool StoredMaps::restore(const nlohmann::json& state) {
  // A run whose masks were random so far, of another strategy too, says nothing of these.
  maps_ = nullptr;
  hash_ = state.value("maps_hash", "");
  epoch_ = state.contains("maps_epoch") ? std::optional<std::int64_t>(state["maps_epoch"])
                                        : std::nullopt;
  // A run that begins from another's checkpoint may look at other features. What was made from
  // those is of no use here, and is made anew when the next epoch begins.
  if (const std::string there = state.value("looks_at", words_); epoch_ && there != words_) {
    warn("the checkpoint was guided by ", there, "; recomputing guidance for ", words_);
    epoch_.reset();
    return false;
  }
  if (!epoch_) return true;
  if (!kept_ || fs::exists(path())) {
    open();
    return true;
  }
  const fs::path made_from = checkpoint_at(context_.folder.checkpoints(), {*epoch_});
  check(fs::exists(made_from), ExitCode::checkpoint, path().string(), " is missing, and so is ",
        made_from.string(),
        ", from which it could be recomputed; restore either file, or start a new run");
  warn(path().string(), " is missing; recomputing it from ", made_from.string());
  const std::string hash = hash_;
  LoadedMae loaded = load_mae(made_from);
  place(loaded.model, context_.compute);
  sgmae::info(make_with(*epoch_, loaded.model));
  check(hash_ == hash, ExitCode::checkpoint, made_from.string(),
        " is not the model that made the lost maps; restore ", path().string(),
        " or start a new run");
  return true;
}

bool StoredMaps::needs_checkpoint(const CheckpointName& name) const {
  return name.step == 0 && epoch_ == name.epoch;
}

// A checkpoint's masks come from the newest maps made up to its epoch. Later ones are left of a run
// that was rolled back, and would be made again.
void StoredMaps::checkpoints_left(const std::vector<CheckpointName>& left) const {
  const std::map<std::int64_t, fs::path> made = list_maps(context_.folder.maps());
  std::set<std::int64_t> needed;
  if (epoch_) needed.insert(*epoch_);
  for (const CheckpointName& name : left)
    if (const auto later = made.upper_bound(name.epoch); later != made.begin())
      needed.insert(std::prev(later)->first);
  for (const auto& [epoch, file] : made)
    if (needed.count(epoch) == 0) fs::remove(file);
}

NextBatch training_images_whole(const MaskContext& context, std::vector<std::int64_t> subset) {
  LoaderOptions options = own_share(whole_images(context.loader));
  options.subset = std::move(subset);
  auto loader = std::make_shared<Loader>(context.source, options);
  loader->start_epoch(0);
  const std::int64_t images = loader->batches_per_epoch() * options.batch_size;
  auto progress =
      std::make_shared<Progress>("images looked at for masks", images / processes().size());
  return [loader, progress, done = std::int64_t{0}](Batch& batch) mutable {
    if (stop_requested()) throw StopRequested();
    progress->show(done);
    if (!loader->next(batch)) return false;
    done += batch.size();
    return true;
  };
}

}  // namespace sgmae
