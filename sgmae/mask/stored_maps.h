// Maps of all training images that a strategy has a run make of its own model, once or again and
// again: which are in use, where their files lie, and how they come back when the run goes on.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "sgmae/mask/relevance_map.h"
#include "sgmae/mask/relevance_pass.h"
#include "sgmae/mask/strategy.h"

namespace sgmae {

// How often those are made in a run of `epochs`: before epoch `start`, and anew every `refresh`
// epochs (0: never).
std::int64_t map_passes(std::int64_t epochs, std::int64_t start, std::int64_t refresh);

class StoredMaps {
 public:
  // Makes maps of the training images with `model`; what `info` says goes into the file `path`.
  // Returns a sentence for people.
  using Make = std::function<std::string(const Mae& model, const std::filesystem::path& path,
                                         const MapInfo& info)>;

  // `kind`: what maps are made from (tap, center, object), which `words` say for people. Where they
  // are not `kept`, Make writes no file.
  StoredMaps(const MaskContext& context, MapInfo kind, std::string words, bool kept, Make make);

  // The epoch whose beginning weights made the present ones; none so far.
  std::optional<std::int64_t> epoch() const { return epoch_; }
  // Null where there are none or they are not kept.
  std::shared_ptr<const RelevanceMaps> maps() const { return maps_; }

  // Whether they are to be made before `epoch`: wanted since `start`, anew every `refresh` epochs
  // (0: never).
  bool due(std::int64_t epoch, std::int64_t start, std::int64_t refresh) const;
  // Makes them with the run's present weights. Returns what Make does. Throws what it throws, and
  // is then as before.
  std::string make(std::int64_t epoch);

  // In the strategy's state. restore() opens the maps again; where they are lost it makes them from
  // the checkpoint of the same epoch, and throws Error(checkpoint) when that is lost too. Maps of
  // another kind are forgotten, which is said; false then.
  void save(nlohmann::json& state) const;
  bool restore(const nlohmann::json& state);

  // The weights that made the present maps stay, as do maps that a checkpoint at the beginning of,
  // or inside, an epoch needs to go on from it.
  bool needs_checkpoint(const CheckpointName& name) const;
  void checkpoints_left(const std::vector<CheckpointName>& left) const;

 private:
  std::filesystem::path path() const;
  MapInfo info(std::int64_t epoch, const std::string& hash) const;
  void open();
  std::string make_with(std::int64_t epoch, const Mae& model);

  MaskContext context_;
  MapInfo kind_;
  std::string words_;
  bool kept_;
  Make make_;
  std::optional<std::int64_t> epoch_;
  std::string hash_;  // of the weights that made the present maps
  std::shared_ptr<const RelevanceMaps> maps_;
};

// This process's share of the training images (all, or those at the positions of `subset`), whole
// and squashed. Where it takes long, it is said how far they are read. Throws StopRequested where
// the run is asked to stop.
NextBatch training_images_whole(const MaskContext& context, std::vector<std::int64_t> subset = {});

}  // namespace sgmae
