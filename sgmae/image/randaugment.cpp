#include "sgmae/image/randaugment.h"

#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "sgmae/base/error.h"
#include "sgmae/image/affine.h"
#include "sgmae/image/colour.h"

namespace sgmae {

RandAugmentOptions parse_rand_augment(const std::string& text) {
  if (text.empty() || text == "none") return {};
  const auto need = [&](bool fits) {
    check(fits, ExitCode::usage, "aa: '", text,
          "' is not a supported policy; write rand-m9-mstd0.5-inc1 with your own numbers, or none");
  };
  std::istringstream parts(text);
  std::string part;
  std::getline(parts, part, '-');
  need(part == "rand");
  RandAugmentOptions options{.count = 2, .magnitude = 10, .deviation = 0};
  bool increasing = false;
  while (std::getline(parts, part, '-')) {
    const std::size_t digits = part.find_first_of("0123456789");
    need(digits != std::string::npos && digits > 0);
    const std::string key = part.substr(0, digits);
    char* end = nullptr;
    const double value = std::strtod(part.c_str() + digits, &end);
    need(*end == '\0' && value <= 100);
    if (key == "m")
      options.magnitude = std::min(value, 10.0);
    else if (key == "mstd")
      options.deviation = value;
    else if (key == "n")
      options.count = static_cast<int>(value);
    else if (key == "inc")
      increasing = value == 1;
    else
      need(false);
  }
  need(increasing);
  return options;
}

double augment_argument(AugmentOp op, double magnitude, bool negate) {
  const double level = magnitude / 10;
  const double sign = negate ? -1 : 1;
  switch (op) {
    case AugmentOp::auto_contrast:
    case AugmentOp::equalize:
    case AugmentOp::invert:
      return 0;
    case AugmentOp::rotate:
      return sign * level * 30;
    case AugmentOp::posterize:
      return 4 - static_cast<int>(level * 4);
    case AugmentOp::solarize:
      return 256 - std::min(256, static_cast<int>(level * 256));
    case AugmentOp::solarize_add:
      return std::min(128, static_cast<int>(level * 110));
    case AugmentOp::colour:
    case AugmentOp::contrast:
    case AugmentOp::brightness:
    case AugmentOp::sharpness:
      return std::max(0.1, 1 + sign * (level * 0.9));
    case AugmentOp::shear_x:
    case AugmentOp::shear_y:
      return sign * level * 0.3;
    case AugmentOp::translate_x:
    case AugmentOp::translate_y:
      return sign * level * 0.45;
  }
  return 0;
}

std::vector<AugmentStep> draw_rand_augment(Rng& rng, const RandAugmentOptions& options) {
  std::vector<AugmentStep> steps;
  for (int i = 0; i < options.count; ++i) {
    const auto op = static_cast<AugmentOp>(rng.below(augment_op_count));
    if (rng.uniform() >= options.probability) continue;
    const double magnitude =
        std::clamp(options.magnitude + options.deviation * rng.normal(), 0.0, 10.0);
    steps.push_back({op, augment_argument(op, magnitude, rng.uniform() < 0.5)});
  }
  return steps;
}

void apply(const AugmentStep& step, const std::vector<std::uint8_t>& fill, Image& image) {
  const auto move = [&](const AffineMap& map) { image = transform(view(image), map, fill); };
  const double a = step.argument;
  switch (step.op) {
    case AugmentOp::auto_contrast:
      return auto_contrast(image);
    case AugmentOp::equalize:
      return equalize(image);
    case AugmentOp::invert:
      return invert(image);
    case AugmentOp::rotate:
      return move(rotation(image.size(), a));
    case AugmentOp::posterize:
      return posterize(image, static_cast<int>(a));
    case AugmentOp::solarize:
      return solarize(image, static_cast<int>(a));
    case AugmentOp::solarize_add:
      return solarize_add(image, static_cast<int>(a));
    case AugmentOp::colour:
      return adjust_colour(image, a);
    case AugmentOp::contrast:
      return adjust_contrast(image, a);
    case AugmentOp::brightness:
      return adjust_brightness(image, a);
    case AugmentOp::sharpness:
      return adjust_sharpness(image, a);
    case AugmentOp::shear_x:
      return move({1, a, 0, 0, 1, 0});
    case AugmentOp::shear_y:
      return move({1, 0, 0, a, 1, 0});
    case AugmentOp::translate_x:
      return move({1, 0, a * image.width, 0, 1, 0});
    case AugmentOp::translate_y:
      return move({1, 0, 0, 0, 1, a * image.height});
  }
}

}  // namespace sgmae
