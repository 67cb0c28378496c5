#include "sgmae/detect/config.h"

#include <algorithm>

#include "sgmae/base/error.h"

namespace sgmae {

VitConfig detection_backbone(VitConfig encoder, std::int64_t height, std::int64_t width,
                             std::int64_t window, std::vector<std::int64_t> global) {
  const std::int64_t depth = encoder.size.depth;
  if (global.empty())  // 2, 5, 8, 11 of 12
    for (std::int64_t quarter = 1; quarter <= 4; ++quarter)
      global.push_back((quarter * depth + 3) / 4 - 1);
  for (const std::int64_t block : global)
    check(block >= 0 && block < depth, ExitCode::usage, "global block ", block,
          " does not exist; the encoder has blocks 0 to ", depth - 1);
  encoder.height = height, encoder.width = width;
  encoder.class_token = encoder.final_norm = false;
  encoder.registers = encoder.classes = 0;
  encoder.batch_norm_head = false;
  encoder.pooling = Pooling::cls;
  encoder.attention.assign(static_cast<std::size_t>(depth), {window, RelativePosition::decomposed});
  for (const std::int64_t block : global)
    encoder.attention[static_cast<std::size_t>(block)].window = 0;
  check_config(encoder);
  return encoder;
}

void check_config(const MaskRcnnConfig& c) {
  check_config(c.backbone);
  SGMAE_ASSERT(!c.backbone.class_token && c.backbone.registers == 0);
  const auto positive = [](const char* name, std::int64_t value, std::int64_t most) {
    check(value > 0 && value <= most, ExitCode::usage, name, " must be between 1 and ", most,
          ", but is ", value);
  };
  positive("classes", c.classes, 100000);
  positive("head_channels", c.channels, 1 << 14);
  positive("box_hidden", c.box_hidden, 1 << 16);
  positive("proposal_convs", c.proposal_convs, 16);
  for (const auto& [name, value] :
       {std::pair{"box_convs", c.box_convs}, {"mask_convs", c.mask_convs}})
    check(value >= 0 && value <= 16, ExitCode::usage, name, " must be between 0 and 16, but is ",
          value);
  check(c.backbone.size.dim % 4 == 0, ExitCode::usage,
        "the pyramid needs an encoder whose width is a multiple of 4, but it is ",
        c.backbone.size.dim);
  positive("box_cells", c.rois.box_cells, 64);
  positive("mask_cells", c.rois.mask_cells, 64);
}

}  // namespace sgmae
