#include "sgmae/mask/options.h"

namespace sgmae {

void declare_guide(Options& o, GuideOptions& guide) {
  o.add("guide_layer", guide.layer,
        "block whose tokens are clustered; negative: from the end, -2 second last");
  o.add("guide_part", guide.part,
        {{"encoder", GuidePart::encoder}, {"decoder", GuidePart::decoder}}, "where that block is");
  o.add("guide_features", guide.features,
        {{"attention_out", GuideFeatures::attention_out},
         {"block_out", GuideFeatures::block_out},
         {"key", GuideFeatures::key}},
        "what is compared: attention output before its projection (paper, Eq. 2), block output, "
        "keys");
  declare_guide_center(o, guide.center);
  declare_guide_object(o, guide.object);
}

void declare_guide_center(Options& o, GuideCenter& center) {
  o.add("guide_center", center,
        {{"none", GuideCenter::none},
         {"mean", GuideCenter::mean},
         {"position", GuideCenter::position}},
        "what is subtracted first: nothing (paper), the image's mean, the data set's mean per "
        "position");
}

void declare_guide_object(Options& o, ObjectRule& object) {
  o.add("guide_object", object,
        {{"eigenvector", ObjectRule::eigenvector}, {"inside", ObjectRule::inside}},
        "which side of the cut is the object: the one with the largest |y1| (paper), the one that "
        "lies less along the border");
}

}  // namespace sgmae
