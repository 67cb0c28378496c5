#include "sgmae/segment/config.h"

#include <algorithm>

#include "sgmae/base/error.h"

namespace sgmae {

std::vector<std::int64_t> default_taps(std::int64_t depth) {
  check(depth >= 4, ExitCode::usage, "UperNet reads four blocks, but the encoder has ", depth,
        "; use --head linear, or an encoder of four blocks or more");
  // 3, 5, 7, 11 of 12; 7, 11, 15, 23 of 24.
  std::vector<std::int64_t> taps{depth / 3 - 1, depth / 2 - 1, 2 * depth / 3 - 1, depth - 1};
  for (std::size_t i = 1; i < taps.size(); ++i)  // of few blocks, where some are the same
    taps[i] = std::max(taps[i], taps[i - 1] + 1);
  return taps;
}

VitConfig segmentation_backbone(VitConfig encoder, std::int64_t height, std::int64_t width,
                                bool relative_bias, bool layer_scale) {
  encoder.height = height, encoder.width = width;
  encoder.final_norm = encoder.batch_norm_head = false;
  encoder.registers = encoder.classes = 0;
  encoder.pooling = Pooling::cls;
  encoder.layer_scale = encoder.layer_scale || layer_scale;
  if (relative_bias) {
    encoder.attention.resize(static_cast<std::size_t>(encoder.size.depth));
    for (BlockAttention& block : encoder.attention)
      if (block.relative_position == RelativePosition::none)
        block.relative_position = RelativePosition::bias;
  }
  check_config(encoder);
  return encoder;
}

void check_config(const SegmenterConfig& c) {
  check_config(c.backbone);
  SGMAE_ASSERT(c.backbone.registers == 0 && !c.backbone.has_final_norm());
  check(c.classes >= 2 && c.classes <= most_segment_classes, ExitCode::usage,
        "a segmentation model tells 2 to ", most_segment_classes,
        " classes apart, but there are to be ", c.classes);
  const std::int64_t depth = c.backbone.size.depth;
  check(!c.taps.empty() && std::is_sorted(c.taps.begin(), c.taps.end()) &&
            std::adjacent_find(c.taps.begin(), c.taps.end()) == c.taps.end() &&
            c.taps.front() >= 0 && c.taps.back() < depth,
        ExitCode::usage, "taps must be different blocks between 0 and ", depth - 1,
        " in ascending order");
  if (c.head == SegmentHead::linear) return;
  check(c.taps.size() == 4, ExitCode::usage, "UperNet reads four blocks, but there are ",
        c.taps.size(), " taps; give four of them");
  const auto within = [](const char* name, std::int64_t value, std::int64_t least,
                         std::int64_t most) {
    check(value >= least && value <= most, ExitCode::usage, name, " must be between ", least,
          " and ", most, ", but is ", value);
  };
  within("channels", c.channels, 1, 1 << 14);
  within("auxiliary_channels", c.auxiliary_channels, 1, 1 << 14);
  within("auxiliary_level", c.auxiliary_level, 0, 3);
  within("the number of pool_scales", static_cast<std::int64_t>(c.pool_scales.size()), 1, 16);
  for (const std::int64_t scale : c.pool_scales) within("a pool scale", scale, 1, 256);
  check(c.dropout >= 0 && c.dropout < 1, ExitCode::usage,
        "dropout must be at least 0 and below 1, but is ", c.dropout);
  check(c.auxiliary_weight >= 0 && c.auxiliary_weight < 1e6, ExitCode::usage,
        "auxiliary_weight must be 0 or a positive number, but is ", c.auxiliary_weight);
}

}  // namespace sgmae
