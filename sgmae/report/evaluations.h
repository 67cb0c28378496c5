// How good the models are: what result.json of a run and of the evaluations in its folder says, in
// words.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "sgmae/report/run_reader.h"

namespace sgmae {

// What an evaluation is called, e.g. "k-NN, k = 20, mean of the patch tokens".
std::string evaluation_name(const RunResult& result);

// A table for each kind of task (classes of images, objects, classes of pixels): of one run a row
// per evaluation, of several runs each evaluation's rows are the runs, the best marked, and
// differences to the first run told. Then curves of tests over epochs, and of each evaluation which
// class was taken for which, classes, and all values to unfold. Links to pages of evaluations are
// relative to the folder `page`; where that is empty there are none.
std::string results(const std::vector<RunRecord>& runs, const std::filesystem::path& page);

}  // namespace sgmae
