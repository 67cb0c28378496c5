#include "sgmae/data/kept_source.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "sgmae/base/error.h"
#include "sgmae/base/host.h"
#include "sgmae/base/log.h"
#include "sgmae/parallel/process_group.h"

namespace sgmae {
namespace {

constexpr std::int64_t mib = 1 << 20;

// What is grey in its file is grey in memory; its loader repeats it where it wants colour.
int kept_channels(const OpenedImage& opened) {
  return opened.info.channels <= 2 ? 1 : 3;
}

std::int64_t bytes_of(const OpenedImage& opened) {
  return std::int64_t{opened.size.width} * opened.size.height * kept_channels(opened);
}

class KeptSource : public Source {
 public:
  KeptSource(std::unique_ptr<Source> source, std::int64_t most_bytes)
      : source_(std::move(source)),
        most_(most_bytes),
        room_(most_bytes),
        kept_(std::make_unique<std::atomic<const Image*>[]>(
            static_cast<std::size_t>(source_->size()))) {
    labels_ = source_->labels();
    class_names_ = source_->class_names();
    left_out_ = source_->left_out();
  }
  std::int64_t will_keep() const { return std::min(most_, decoded_bytes(*source_)); }
  ~KeptSource() override {
    for (std::int64_t i = 0; i < size(); ++i) delete kept_[static_cast<std::size_t>(i)].load();
  }

  std::int64_t size() const override { return source_->size(); }
  std::string name(std::int64_t index) const override { return source_->name(index); }

  void open(std::int64_t index, OpenedImage& opened) const override {
    std::atomic<const Image*>& place = kept_[static_cast<std::size_t>(index)];
    const Image* kept = place.load(std::memory_order_acquire);
    if (!kept) {
      source_->open(index, opened);
      kept = keep(opened, place);
      if (!kept) return;
    }
    opened.size = kept->size();
    opened.raw = view(*kept);
    opened.info.channels = kept->channels;
  }

 protected:
  int colour_channels() const override { return source_->native_channels(); }
  std::int64_t content_mark(std::int64_t index) const override {
    return content_mark_of(*source_, index);
  }

 private:
  // Decodes what was opened, where there is room for it; else null.
  const Image* keep(const OpenedImage& opened, std::atomic<const Image*>& place) const {
    if (opened.raw.data) return nullptr;
    const std::int64_t bytes = bytes_of(opened);
    if (room_.fetch_sub(bytes) < bytes) {
      room_ += bytes;
      return nullptr;
    }
    std::unique_ptr<Image> image;
    try {
      image = std::make_unique<Image>();
      decode(opened, whole(opened.size), kept_channels(opened), *image);
    } catch (const Error&) {  // a part of it may be whole
      room_ += bytes;
      return nullptr;
    }
    const Image* other = nullptr;  // of a thread that was faster
    if (place.compare_exchange_strong(other, image.get(), std::memory_order_acq_rel))
      return image.release();
    room_ += bytes;
    return other;
  }

  std::unique_ptr<Source> source_;
  std::int64_t most_;                       // bytes
  mutable std::atomic<std::int64_t> room_;  // of them
  std::unique_ptr<std::atomic<const Image*>[]> kept_;
};

}  // namespace

std::int64_t decoded_bytes(const Source& source) {
  constexpr std::int64_t most = 64;
  const std::int64_t count = std::min(source.size(), most);
  std::int64_t bytes = 0, read = 0;
  OpenedImage opened;
  for (std::int64_t i = 0; i < count; ++i) {
    try {
      source.open(i * source.size() / count, opened);
    } catch (const Error&) {
      continue;
    }
    ++read;
    if (!opened.raw.data) bytes += bytes_of(opened);
  }
  return read == 0
             ? 0
             : static_cast<std::int64_t>(static_cast<double>(bytes) / static_cast<double>(read) *
                                         static_cast<double>(source.size()));
}

std::int64_t kept_bytes(const Source& source) {
  const auto* const kept = dynamic_cast<const KeptSource*>(&source);
  return kept ? kept->will_keep() : 0;
}

void declare_cache(Options& o, DataOptions& data) {
  using Keep = DataOptions::Keep;
  o.add("cache_decoded", data.cache_decoded,
        {{"auto", Keep::automatic}, {"true", Keep::yes}, {"false", Keep::no}},
        "keep images of the training set in memory once they are decoded; auto: where all of them "
        "take no more than an eighth of what is free")
      .may_change_on_resume()
      .is_flag = true;
  o.add("cache_mb", data.cache_mb,
        "most memory for decoded images, in MB on this process; 0: a quarter of what is free")
      .may_change_on_resume();
}

std::unique_ptr<Source> keep_decoded(std::unique_ptr<Source> source, std::int64_t most_bytes) {
  return std::make_unique<KeptSource>(std::move(source), most_bytes);
}

std::unique_ptr<Source> keep_decoded(std::unique_ptr<Source> source, const DataOptions& options,
                                     std::int64_t epochs) {
  using Keep = DataOptions::Keep;
  const bool automatic = options.cache_decoded == Keep::automatic;
  // To keep an image the whole of it is decoded, where training needs a crop.
  if (options.cache_decoded == Keep::no || (automatic && epochs < 2)) return source;
  if (source->stored_values()) return source;  // no 8-bit pixels
  const std::int64_t needed = decoded_bytes(*source);
  if (needed == 0) return source;
  const std::int64_t free = host_memory().available / processes().size();
  const std::int64_t most = options.cache_mb > 0 ? options.cache_mb * mib : free / 4;
  const bool all = needed <= most;
  if (automatic && (!all || (options.cache_mb == 0 && needed > free / 8))) return source;
  constexpr std::int64_t worth_a_word = 100 * mib;
  if (all && needed >= worth_a_word)
    info("data: decoded images stay in memory, about ", needed / mib + 1,
         " MB (--no_cache_decoded to save that)");
  if (!all)
    info("data: decoded images stay in memory, of about ", needed / mib + 1,
         " MB as many as fit in ", most / mib, " MB (--cache_mb)");
  return keep_decoded(std::move(source), most);
}

}  // namespace sgmae
