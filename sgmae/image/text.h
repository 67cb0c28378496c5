// Text on RGB images, in DejaVu Sans, which is part of the program. Safe to use from several
// threads.
#pragma once

#include <string>

#include "sgmae/image/draw.h"
#include "sgmae/image/image.h"

namespace sgmae {

// One line of UTF-8, `size` pixels an em (a capital has 0.73 of that); x, y is the upper left of
// the line, which is text_height() high. Bytes that are not UTF-8 are drawn as U+FFFD, characters
// that the font lacks as hollow boxes. Nothing is shaped: what joins letters is drawn beside them.
void write_text(Image& canvas, const std::string& text, int x, int y, int size, Colour colour);

// The same turned a quarter to the left: it begins at y and goes up, x is the top of its letters.
void write_text_upwards(Image& canvas, const std::string& text, int x, int y, int size,
                        Colour colour);

int text_width(const std::string& text, int size);
int text_height(int size);

// The bar of heat() between what its ends stand for, as a line of text, and its width.
void write_scale(Image& canvas, const std::string& low, const std::string& high, int x, int y,
                 int size, Colour colour);
int scale_width(const std::string& low, const std::string& high, int size);

// The text, or as much of its beginning and end as fits `width` with "…" between them.
std::string shortened_text(const std::string& text, int size, int width);

}  // namespace sgmae
