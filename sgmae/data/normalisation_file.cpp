#include "sgmae/data/normalisation_file.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>

#include "sgmae/base/error.h"
#include "sgmae/base/file.h"
#include "sgmae/base/log.h"
#include "sgmae/base/progress.h"
#include "sgmae/data/parallel.h"

namespace sgmae {

void ChannelSums::add(const Bands& bands, const StoredValues& stored) {
  const auto channels = static_cast<std::size_t>(bands.channels);
  const float nodata = stored.nodata ? static_cast<float>(*stored.nodata) : std::nanf("");
  ChannelSums own;
  for (std::size_t c = 0; c < channels; ++c) {
    double sum = 0, square_sum = 0;
    std::int64_t count = 0;
    float lowest = std::numeric_limits<float>::infinity(), highest = -lowest;
    for (std::size_t i = c; i < bands.values.size(); i += channels) {
      const float value = bands.values[i];
      if (!std::isfinite(value) || value == nodata) continue;
      sum += value;
      square_sum += static_cast<double>(value) * value;
      ++count;
      lowest = std::min(lowest, value);
      highest = std::max(highest, value);
    }
    own.sum.push_back(sum);
    own.square_sum.push_back(square_sum);
    own.count.push_back(count);
    own.lowest.push_back(lowest);
    own.highest.push_back(highest);
  }
  add(own);
}

void ChannelSums::add(const ChannelSums& other) {
  if (count.empty()) {
    *this = other;
    return;
  }
  for (std::size_t c = 0; c < other.count.size(); ++c) {
    sum[c] += other.sum[c];
    square_sum[c] += other.square_sum[c];
    count[c] += other.count[c];
    lowest[c] = std::min(lowest[c], other.lowest[c]);
    highest[c] = std::max(highest[c], other.highest[c]);
  }
}

double ChannelSums::mean(std::size_t channel) const {
  return count[channel] > 0 ? sum[channel] / static_cast<double>(count[channel]) : 0;
}

double ChannelSums::deviation(std::size_t channel) const {
  if (count[channel] == 0) return 0;
  const double own = mean(channel);
  const double variance = square_sum[channel] / static_cast<double>(count[channel]) - own * own;
  return std::sqrt(std::max(variance, 0.0));
}

Normalisation normalisation_of(const ChannelSums& sums, const StoredValues& stored) {
  Normalisation normalisation{{}, {}, stored};
  for (std::size_t c = 0; c < sums.count.size(); ++c) {
    const auto deviation = static_cast<float>(sums.deviation(c));
    normalisation.mean.push_back(static_cast<float>(sums.mean(c)));
    normalisation.std.push_back(deviation > 0 ? deviation : 1);
  }
  return normalisation;
}

MeasuredNormalisation measure_normalisation(const Source& source, int threads,
                                            std::int64_t most_images) {
  SGMAE_ASSERT(source.stored_values());
  const StoredValues& stored = *source.stored_values();
  const std::int64_t count = std::min(source.size(), most_images);
  constexpr std::int64_t share = 16;
  std::map<std::int64_t, ChannelSums> parts;  // by the first of their images
  std::int64_t measured = 0, done = 0;
  std::string reason;  // of an image that cannot be read
  std::mutex mutex;    // guards these
  Progress progress("mean and deviation", count);
  in_parallel(count, share, std::max(1, threads), [&] {
    return
        [&, opened = OpenedImage(), bands = Bands()](std::int64_t begin, std::int64_t end) mutable {
          ChannelSums sums;
          std::int64_t read = 0;
          std::string why;
          for (std::int64_t i = begin; i < end; ++i) {
            const std::int64_t index = i * source.size() / count;
            try {
              source.open(index, opened);
              decode_bands(opened, whole(opened.size), source.native_channels(), bands);
            } catch (const Error& error) {  // the loader will name it
              why = str(source.name(index), ": ", error.what());
              continue;
            }
            sums.add(bands, stored);
            ++read;
          }
          const std::lock_guard lock(mutex);
          if (read > 0) parts[begin] = std::move(sums);
          if (!why.empty()) reason = why;
          measured += read;
          done += end - begin;
          progress.show(done);
        };
  });
  check(measured > 0, ExitCode::data, "none of ", count, " images can be measured, e.g. ", reason);
  ChannelSums all;
  for (const auto& [begin, part] : parts) all.add(part);
  return {normalisation_of(all, stored), measured};
}

Normalisation own_normalisation(const Source& source, int channels, int threads) {
  constexpr std::int64_t most_images = 2000;
  if (!source.stored_values()) return default_normalisation(channels);
  MeasuredNormalisation measured = measure_normalisation(source, threads, most_images);
  info("normalisation: mean and deviation of each channel, measured on ", measured.images, " of ",
       source.size(), " images; sgmae data stats --save measures all of them once");
  return std::move(measured.normalisation);
}

nlohmann::ordered_json to_json(const Normalisation& normalisation) {
  nlohmann::ordered_json json{{"values", normalisation.stored ? "stored" : "8bit"},
                              {"channels", normalisation.mean.size()},
                              {"mean", normalisation.mean},
                              {"std", normalisation.std}};
  if (normalisation.stored) json["stored_values"] = to_json(*normalisation.stored);
  return json;
}

Normalisation read_normalisation(const std::filesystem::path& path) {
  const std::string text = read_text(path, ExitCode::data);
  const auto refuse = [&](const std::string& why) {
    fail(ExitCode::data, path.string(), " is no normalisation: ", why,
         "; make one with sgmae data stats DATA --save FILE");
  };
  Normalisation read;
  try {
    const auto json = nlohmann::json::parse(text);
    read.mean = json.at("mean").get<std::vector<float>>();
    read.std = json.at("std").get<std::vector<float>>();
    const auto values = json.at("values").get<std::string>();
    if (values != "stored" && values != "8bit") refuse("its values are neither stored nor 8bit");
    if (values == "stored")
      read.stored = stored_values_from_json(json.value("stored_values", nlohmann::json::object()));
  } catch (const nlohmann::json::exception& error) {
    refuse(error.what());
  }
  if (read.mean.empty() || read.mean.size() != read.std.size())
    refuse(str("it has ", read.mean.size(), " means and ", read.std.size(), " deviations"));
  for (std::size_t c = 0; c < read.mean.size(); ++c)
    if (!std::isfinite(read.mean[c]) || !std::isfinite(read.std[c]) || !(read.std[c] > 0))
      refuse(str("channel ", c + 1, " has mean ", read.mean[c], " and deviation ", read.std[c]));
  return read;
}

}  // namespace sgmae
