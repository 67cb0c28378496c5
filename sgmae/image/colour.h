// Operations on the colours of an image, in place, each equal to Pillow 13's (ImageOps,
// ImageEnhance, mode HSV). Images have 1 or 3 channels.
#pragma once

#include "sgmae/image/image.h"

namespace sgmae {

// Per channel: the darkest value to 0, the brightest to 255, linearly between.
void auto_contrast(Image& image);

// Per channel: values spread so that their histogram becomes as flat as it can.
void equalize(Image& image);

void invert(Image& image);

// Keeps the `bits` most significant bits, 0 … 8, of every value.
void posterize(Image& image, int bits);

// Inverts values of at least `threshold`.
void solarize(Image& image, int threshold);

// Adds `addend` to values below 128, to at most 255.
void solarize_add(Image& image, int addend);

// The four enhancements go from a plain image (factor 0) through the given one (1) and beyond. The
// plain image is grey, of the mean grey everywhere, black, and smoothed.
void adjust_colour(Image& image, double factor);
void adjust_contrast(Image& image, double factor);
void adjust_brightness(Image& image, double factor);
void adjust_sharpness(Image& image, double factor);

// Turns hues by a share of the circle, -0.5 … 0.5, through Pillow's 8-bit hue, saturation and value
// (torchvision's adjust_hue). A grey image stays as it is.
void turn_hue(Image& image, double turn);

}  // namespace sgmae
