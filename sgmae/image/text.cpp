#include "sgmae/image/text.h"

#include <ft2build.h>
#include FT_FREETYPE_H

#include <algorithm>
#include <cstddef>
#include <mutex>
#include <utility>
#include <vector>

#include "sgmae/base/error.h"

// The font's file, SGMAE_FONT, as it is: its name table holds its notice and licence.
asm(".section .rodata\n"
    ".global sgmae_font_begin, sgmae_font_end\n"
    ".hidden sgmae_font_begin, sgmae_font_end\n"
    "sgmae_font_begin:\n"
    ".incbin \"" SGMAE_FONT
    "\"\n"
    "sgmae_font_end:\n"
    ".previous\n");
extern "C" const unsigned char sgmae_font_begin[] __attribute__((visibility("hidden")));
extern "C" const unsigned char sgmae_font_end[] __attribute__((visibility("hidden")));

namespace sgmae {
namespace {

constexpr char32_t kReplacement = 0xfffd;

struct Character {
  char32_t code = 0;
  std::size_t bytes = 1;  // of its UTF-8
};

Character character_at(const std::string& text, std::size_t i) {
  const auto byte = [&](std::size_t at) {
    return at < text.size() ? static_cast<unsigned char>(text[at]) : 0u;
  };
  const unsigned first = byte(i);
  if (first < 0x80) return {first, 1};
  const std::size_t bytes = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4) return {kReplacement, 1};
  char32_t code = first & (0xffu >> (bytes + 1));
  for (std::size_t k = 1; k < bytes; ++k) {
    if ((byte(i + k) & 0xc0) != 0x80) return {kReplacement, 1};
    code = code << 6 | (byte(i + k) & 0x3f);
  }
  return {code, bytes};
}

// What fails here would be a bug: the font is known, and sizes are those of pictures.
void succeed(FT_Error error) {
  SGMAE_ASSERT(error == 0);
}

// FreeType allows a face one user at a time.
class Font {
 public:
  Font() {
    succeed(FT_Init_FreeType(&library_));
    succeed(FT_New_Memory_Face(library_, sgmae_font_begin,
                               static_cast<FT_Long>(sgmae_font_end - sgmae_font_begin), 0, &face_));
  }
  ~Font() { FT_Done_FreeType(library_); }
  Font(const Font&) = delete;
  Font& operator=(const Font&) = delete;

  // Hands each glyph's slot, and the pixel at which it begins, to `use`; returns the width.
  template <class Use>
  int walk(const std::string& text, int size, const Use& use) {
    const std::lock_guard lock(mutex_);
    set_size(size);
    FT_Pos pen = 0;  // in 64ths of a pixel
    for (std::size_t i = 0; i < text.size();) {
      const Character character = character_at(text, i);
      i += character.bytes;
      // Glyph 0, the hollow box, stands for what the font lacks.
      const FT_UInt glyph = FT_Get_Char_Index(face_, character.code);
      succeed(FT_Load_Glyph(face_, glyph, FT_LOAD_TARGET_LIGHT));
      use(face_->glyph, static_cast<int>((pen + 32) >> 6));
      pen += face_->glyph->advance.x;
    }
    return static_cast<int>((pen + 63) >> 6);
  }

  std::pair<int, int> above_and_below(int size) {  // pixels of a line over and under the base line
    const std::lock_guard lock(mutex_);
    set_size(size);
    const FT_Size_Metrics& metrics = face_->size->metrics;
    return {static_cast<int>((metrics.ascender + 63) >> 6),
            static_cast<int>((63 - metrics.descender) >> 6)};
  }

 private:
  void set_size(int size) {
    succeed(FT_Set_Pixel_Sizes(face_, 0, static_cast<FT_UInt>(std::max(1, size))));
  }

  std::mutex mutex_;
  FT_Library library_ = nullptr;
  FT_Face face_ = nullptr;
};

Font& font() {
  static Font font;
  return font;
}

// Hands each pixel of a line of text that is covered to `put`: right of its beginning, below its
// top, and how much of it is, 0 … 1.
template <class Put>
void cover(const std::string& text, int size, const Put& put) {
  const int base = font().above_and_below(size).first;
  font().walk(text, size, [&](FT_GlyphSlot slot, int pen) {
    succeed(FT_Render_Glyph(slot, FT_RENDER_MODE_NORMAL));
    const FT_Bitmap& bitmap = slot->bitmap;
    for (int row = 0; row < static_cast<int>(bitmap.rows); ++row)
      for (int column = 0; column < static_cast<int>(bitmap.width); ++column)
        if (const int part = bitmap.buffer[row * bitmap.pitch + column]; part > 0)
          put(pen + slot->bitmap_left + column, base - slot->bitmap_top + row, part / 255.0);
  });
}

// Of a scale: the bar, and from it to the texts.
int bar_length(int size) {
  return 4 * size;
}
int bar_gap(int size) {
  return size / 3;
}

}  // namespace

void write_text(Image& canvas, const std::string& text, int x, int y, int size, Colour colour) {
  cover(text, size, [&](int right, int down, double part) {
    tint(canvas, {x + right, y + down, 1, 1}, colour, part);
  });
}

void write_text_upwards(Image& canvas, const std::string& text, int x, int y, int size,
                        Colour colour) {
  cover(text, size, [&](int right, int down, double part) {
    tint(canvas, {x + down, y - right, 1, 1}, colour, part);
  });
}

void write_scale(Image& canvas, const std::string& low, const std::string& high, int x, int y,
                 int size, Colour colour) {
  const int length = bar_length(size), thick = size * 4 / 5;
  write_text(canvas, low, x, y, size, colour);
  x += text_width(low, size) + bar_gap(size);
  for (int i = 0; i < length; ++i)
    fill(canvas, {x + i, y + (text_height(size) - thick) / 2, 1, thick},
         heat(i / std::max(1.0, length - 1.0)));
  write_text(canvas, high, x + length + bar_gap(size), y, size, colour);
}

int scale_width(const std::string& low, const std::string& high, int size) {
  return text_width(low, size) + bar_length(size) + 2 * bar_gap(size) + text_width(high, size);
}

int text_width(const std::string& text, int size) {
  return font().walk(text, size, [](FT_GlyphSlot, int) {});
}

int text_height(int size) {
  const auto [above, below] = font().above_and_below(size);
  return above + below;
}

std::string shortened_text(const std::string& text, int size, int width) {
  if (text.empty() || text_width(text, size) <= width) return text;
  std::vector<std::size_t> begins;  // of characters
  for (std::size_t i = 0; i < text.size(); i += character_at(text, i).bytes) begins.push_back(i);
  const auto keeping = [&](std::size_t count) {
    const std::size_t tail = count / 2, head = count - tail;
    return text.substr(0, begins[head]) + "…" +
           (tail == 0 ? "" : text.substr(begins[begins.size() - tail]));
  };
  std::size_t fits = 0, too_many = begins.size();
  while (too_many - fits > 1) {
    const std::size_t middle = (fits + too_many) / 2;
    (text_width(keeping(middle), size) <= width ? fits : too_many) = middle;
  }
  return keeping(fits);
}

}  // namespace sgmae
