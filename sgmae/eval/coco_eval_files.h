// COCO's evaluation of a file of detections against a file of truth.
#pragma once

#include "sgmae/data/coco_file.h"
#include "sgmae/data/coco_results.h"
#include "sgmae/eval/coco_eval.h"

namespace sgmae {

struct CocoEvalOptions {
  bool masks = false;           // else boxes
  bool class_agnostic = false;  // all categories are one
  int threads = 1;
};

// The files as pycocotools' COCO, loadRes and COCOeval take them: categories are in the order of
// their ids. Masks of polygons, and of detections that are only boxes, need the image's size.
// Throws Error(data) where that is missing, or boxes or outlines of the truth.
CocoScores evaluate(const CocoFile& truth, const CocoResults& results,
                    const CocoEvalOptions& options);

// Positions of the truth's categories in the order of CocoScores.
std::vector<std::size_t> categories_by_id(const CocoFile& truth);

}  // namespace sgmae
