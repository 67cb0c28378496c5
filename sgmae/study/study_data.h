// Trainings and tests of a study read the same images in the same way.
#pragma once

#include <string>

#include "sgmae/eval/labelled_data.h"
#include "sgmae/study/study_file.h"

namespace sgmae {

// What `data` says beyond its defaults goes into the study's options, and what it leaves open
// becomes as these and the recipe have it. Throws Error(usage) for a variant that reads images in
// another way.
void share_data(StudyFile& study, const std::string& recipe_text, LabelledData& data);

}  // namespace sgmae
