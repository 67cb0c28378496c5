// Internal to data/: the fields of entries of COCO's documents, whoever wrote them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sgmae/data/coco_file.h"
#include "sgmae/io/json_reader.h"

namespace sgmae {

// Gives the pages of a mapped file back that were read, which stay in the process otherwise; they
// are there again where they are needed.
class ReadPages {
 public:
  explicit ReadPages(std::string_view text) : text_(text) {}
  void forget_up_to(std::size_t position);

 private:
  std::string_view text_;
  std::size_t forgotten_ = 0;
};

// What is wrong with a field; whoever reads the entry knows which one it is.
struct WrongField {
  std::string why;
};

// Counts what was mended or left out, with the first example of each.
class CocoNotes {
 public:
  enum Reason {
    no_id,
    no_area,
    no_crowd,
    no_box,
    no_shape,
    number_as_text,
    few_points,
    no_extent,
    beyond,
    other_size,
    no_file_name,
    unknown_image,
    unknown_category,
    foreign_category,
    reasons
  };
  // `example` makes the text; it is called the first time.
  template <class Example>
  void add(Reason reason, const Example& example) {
    if (counts_[reason]++ == 0) examples_[reason] = example();
  }
  std::vector<LeftOut> left_out() const;

 private:
  std::int64_t counts_[reasons] = {};
  std::string examples_[reasons];
};

// Readers of one value each. They throw WrongField for a value that cannot be meant. A number may
// be written as a text, which `mended` then tells.
std::int64_t whole_of(JsonReader& json, const char* field, bool& mended);
bool flag_of(JsonReader& json, const char* field, bool& mended);
double real_of(JsonReader& json, const char* field, double most, bool& mended);
// false: null or an empty list, which is no box.
bool box_of(JsonReader& json, CocoBox& box, bool& mended);

// A segmentation: of polygons those with three points and more.
Shape shape_of(JsonReader& json);

// Reads one over, as strictly, and keeps nothing of polygons. few_points counts the polygons
// that are left out.
struct ScannedShape {
  bool empty = true;
  ImageSize runs_size;  // of run lengths
  std::int64_t few_points = 0;
};
ScannedShape scan_shape(JsonReader& json);

}  // namespace sgmae
