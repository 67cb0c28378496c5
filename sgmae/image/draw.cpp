#include "sgmae/image/draw.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace sgmae {
namespace {

// Seven rows of five dots and two below the line; bit 4 is the leftmost.
using Glyph = std::array<std::uint8_t, 9>;

const std::map<char, Glyph>& font() {
  static const std::map<char, Glyph> glyphs{{'A', {14, 17, 17, 31, 17, 17, 17}},
                                            {'B', {30, 17, 17, 30, 17, 17, 30}},
                                            {'C', {14, 17, 16, 16, 16, 17, 14}},
                                            {'D', {30, 17, 17, 17, 17, 17, 30}},
                                            {'E', {31, 16, 16, 30, 16, 16, 31}},
                                            {'F', {31, 16, 16, 30, 16, 16, 16}},
                                            {'G', {14, 17, 16, 23, 17, 17, 14}},
                                            {'H', {17, 17, 17, 31, 17, 17, 17}},
                                            {'I', {14, 4, 4, 4, 4, 4, 14}},
                                            {'J', {7, 2, 2, 2, 2, 18, 12}},
                                            {'K', {17, 18, 20, 24, 20, 18, 17}},
                                            {'L', {16, 16, 16, 16, 16, 16, 31}},
                                            {'M', {17, 27, 21, 21, 17, 17, 17}},
                                            {'N', {17, 25, 21, 19, 17, 17, 17}},
                                            {'O', {14, 17, 17, 17, 17, 17, 14}},
                                            {'P', {30, 17, 17, 30, 16, 16, 16}},
                                            {'Q', {14, 17, 17, 17, 21, 18, 13}},
                                            {'R', {30, 17, 17, 30, 20, 18, 17}},
                                            {'S', {15, 16, 16, 14, 1, 1, 30}},
                                            {'T', {31, 4, 4, 4, 4, 4, 4}},
                                            {'U', {17, 17, 17, 17, 17, 17, 14}},
                                            {'V', {17, 17, 17, 17, 17, 10, 4}},
                                            {'W', {17, 17, 17, 21, 21, 27, 17}},
                                            {'X', {17, 17, 10, 4, 10, 17, 17}},
                                            {'Y', {17, 17, 10, 4, 4, 4, 4}},
                                            {'Z', {31, 1, 2, 4, 8, 16, 31}},
                                            {'0', {14, 17, 19, 21, 25, 17, 14}},
                                            {'1', {4, 12, 4, 4, 4, 4, 14}},
                                            {'2', {14, 17, 1, 6, 8, 16, 31}},
                                            {'3', {30, 1, 1, 14, 1, 1, 30}},
                                            {'4', {2, 6, 10, 18, 31, 2, 2}},
                                            {'5', {31, 16, 30, 1, 1, 17, 14}},
                                            {'6', {14, 16, 16, 30, 17, 17, 14}},
                                            {'7', {31, 1, 2, 4, 8, 8, 8}},
                                            {'8', {14, 17, 17, 14, 17, 17, 14}},
                                            {'9', {14, 17, 17, 15, 1, 1, 14}},
                                            {'a', {0, 0, 14, 1, 15, 17, 15}},
                                            {'b', {16, 16, 30, 17, 17, 17, 30}},
                                            {'c', {0, 0, 14, 16, 16, 17, 14}},
                                            {'d', {1, 1, 15, 17, 17, 17, 15}},
                                            {'e', {0, 0, 14, 17, 31, 16, 14}},
                                            {'f', {6, 9, 8, 28, 8, 8, 8}},
                                            {'g', {0, 0, 15, 17, 17, 17, 15, 1, 14}},
                                            {'h', {16, 16, 30, 17, 17, 17, 17}},
                                            {'i', {4, 0, 12, 4, 4, 4, 14}},
                                            {'j', {2, 0, 6, 2, 2, 2, 2, 18, 12}},
                                            {'k', {16, 16, 18, 20, 24, 20, 18}},
                                            {'l', {12, 4, 4, 4, 4, 4, 14}},
                                            {'m', {0, 0, 26, 21, 21, 21, 21}},
                                            {'n', {0, 0, 30, 17, 17, 17, 17}},
                                            {'o', {0, 0, 14, 17, 17, 17, 14}},
                                            {'p', {0, 0, 30, 17, 17, 17, 30, 16, 16}},
                                            {'q', {0, 0, 15, 17, 17, 17, 15, 1, 1}},
                                            {'r', {0, 0, 22, 25, 16, 16, 16}},
                                            {'s', {0, 0, 15, 16, 14, 1, 30}},
                                            {'t', {8, 8, 28, 8, 8, 9, 6}},
                                            {'u', {0, 0, 17, 17, 17, 17, 15}},
                                            {'v', {0, 0, 17, 17, 17, 10, 4}},
                                            {'w', {0, 0, 17, 17, 21, 21, 10}},
                                            {'x', {0, 0, 17, 10, 4, 10, 17}},
                                            {'y', {0, 0, 17, 17, 17, 17, 15, 1, 14}},
                                            {'z', {0, 0, 31, 2, 4, 8, 31}},
                                            {'.', {0, 0, 0, 0, 0, 12, 12}},
                                            {',', {0, 0, 0, 0, 0, 12, 12, 8}},
                                            {':', {0, 0, 12, 12, 0, 12, 12}},
                                            {';', {0, 0, 12, 12, 0, 12, 12, 8}},
                                            {'!', {4, 4, 4, 4, 4, 0, 4}},
                                            {'?', {14, 17, 1, 2, 4, 0, 4}},
                                            {'-', {0, 0, 0, 31, 0, 0, 0}},
                                            {'_', {0, 0, 0, 0, 0, 0, 0, 31}},
                                            {'+', {0, 4, 4, 31, 4, 4, 0}},
                                            {'=', {0, 0, 31, 0, 31, 0, 0}},
                                            {'*', {0, 4, 21, 14, 21, 4, 0}},
                                            {'/', {1, 1, 2, 4, 8, 16, 16}},
                                            {'\\', {16, 16, 8, 4, 2, 1, 1}},
                                            {'|', {4, 4, 4, 4, 4, 4, 4}},
                                            {'(', {2, 4, 8, 8, 8, 4, 2}},
                                            {')', {8, 4, 2, 2, 2, 4, 8}},
                                            {'[', {14, 8, 8, 8, 8, 8, 14}},
                                            {']', {14, 2, 2, 2, 2, 2, 14}},
                                            {'{', {2, 4, 4, 8, 4, 4, 2}},
                                            {'}', {8, 4, 4, 2, 4, 4, 8}},
                                            {'<', {2, 4, 8, 16, 8, 4, 2}},
                                            {'>', {8, 4, 2, 1, 2, 4, 8}},
                                            {'%', {24, 25, 2, 4, 8, 19, 3}},
                                            {'#', {10, 10, 31, 10, 31, 10, 10}},
                                            {'&', {12, 18, 20, 8, 21, 18, 13}},
                                            {'@', {14, 17, 1, 13, 21, 21, 14}},
                                            {'$', {4, 15, 20, 14, 5, 30, 4}},
                                            {'^', {4, 10, 17, 0, 0, 0, 0}},
                                            {'~', {0, 0, 8, 21, 2, 0, 0}},
                                            {'`', {8, 4, 2, 0, 0, 0, 0}},
                                            {'\'', {4, 4, 8, 0, 0, 0, 0}},
                                            {'"', {10, 10, 10, 0, 0, 0, 0}},
                                            {' ', {}}};
  return glyphs;
}

constexpr Glyph kUnknown{31, 17, 17, 17, 17, 17, 31};

// Of UTF-8 the bytes that begin a character.
bool begins(char byte) {
  return (static_cast<unsigned char>(byte) & 0xc0) != 0x80;
}

// The part of a box that lies on the canvas.
CropBox clipped(const Image& canvas, const CropBox& box) {
  const int left = std::clamp(box.x, 0, canvas.width), top = std::clamp(box.y, 0, canvas.height);
  const int right = std::clamp(box.x + box.width, left, canvas.width);
  const int bottom = std::clamp(box.y + box.height, top, canvas.height);
  return {left, top, right - left, bottom - top};
}

}  // namespace

Image blank_image(ImageSize size, Colour colour) {
  Image image{size.width, size.height, 3, {}};
  image.pixels.resize(static_cast<std::size_t>(size.width) * size.height * 3);
  for (std::size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = colour[i % 3];
  return image;
}

void fill(Image& canvas, const CropBox& box, Colour colour) {
  tint(canvas, box, colour, 1.0);
}

void tint(Image& canvas, const CropBox& box, Colour colour, double strength) {
  const CropBox inside = clipped(canvas, box);
  for (int y = inside.y; y < inside.y + inside.height; ++y) {
    std::uint8_t* row =
        canvas.pixels.data() + (static_cast<std::size_t>(y) * canvas.width + inside.x) * 3;
    for (int i = 0; i < inside.width * 3; ++i)
      row[i] = static_cast<std::uint8_t>(std::lround(row[i] + strength * (colour[i % 3] - row[i])));
  }
}

void outline(Image& canvas, const CropBox& box, Colour colour, int width) {
  fill(canvas, {box.x, box.y, box.width, width}, colour);
  fill(canvas, {box.x, box.y + box.height - width, box.width, width}, colour);
  fill(canvas, {box.x, box.y, width, box.height}, colour);
  fill(canvas, {box.x + box.width - width, box.y, width, box.height}, colour);
}

void paste(Image& canvas, const ImageView& picture, int x, int y, int scale) {
  for (int row = 0; row < picture.height; ++row)
    for (int column = 0; column < picture.width; ++column) {
      const std::uint8_t* pixel = picture.row(row) + column * picture.channels;
      const Colour colour = picture.channels == 1 ? Colour{pixel[0], pixel[0], pixel[0]}
                                                  : Colour{pixel[0], pixel[1], pixel[2]};
      fill(canvas, {x + column * scale, y + row * scale, scale, scale}, colour);
    }
}

Image side_by_side(const std::vector<Image>& pictures) {
  constexpr int gap = 8;
  ImageSize size{-gap, 0};
  for (const Image& picture : pictures) {
    size.width += gap + picture.width;
    size.height = std::max(size.height, picture.height);
  }
  Image sheet = blank_image(size, {255, 255, 255});
  int x = 0;
  for (const Image& picture : pictures) {
    paste(sheet, view(picture), x, 0, 1);
    x += picture.width + gap;
  }
  return sheet;
}

void write_text(Image& canvas, const std::string& text, int x, int y, int scale, Colour colour) {
  for (const char letter : text) {
    if (!begins(letter)) continue;
    const auto found = font().find(letter);
    const Glyph& glyph = found == font().end() ? kUnknown : found->second;
    for (int row = 0; row < static_cast<int>(glyph.size()); ++row)
      for (int column = 0; column < 5; ++column)
        if (glyph[static_cast<std::size_t>(row)] >> (4 - column) & 1)
          fill(canvas, {x + column * scale, y + row * scale, scale, scale}, colour);
    x += 6 * scale;
  }
}

int text_width(const std::string& text, int scale) {
  const auto letters = static_cast<int>(std::count_if(text.begin(), text.end(), begins));
  return letters * 6 * scale - (letters == 0 ? 0 : scale);
}

Colour heat(double value) {
  // Anchors of even steps in lightness; between them, straight lines.
  constexpr double anchors[5][3] = {
      {48, 18, 92}, {52, 82, 140}, {32, 145, 140}, {110, 200, 90}, {250, 230, 60}};
  const double at = std::clamp(std::isnan(value) ? 0.0 : value, 0.0, 1.0) * 4;
  const int low = std::min(3, static_cast<int>(at));
  Colour colour{};
  for (int c = 0; c < 3; ++c)
    colour[c] = static_cast<std::uint8_t>(
        std::lround(anchors[low][c] + (at - low) * (anchors[low + 1][c] - anchors[low][c])));
  return colour;
}

}  // namespace sgmae
