// Options of the similarity graph and its cut. No torch here.
#pragma once

namespace sgmae {

// What is subtracted from the patch features before their cosine is taken, so that a component
// which all patches share, or which only says where a patch lies, does not pass for content.
enum class GuideCenter {
  none,     // the paper's letter (Eq. 2)
  mean,     // the mean feature of the image's own patches
  position  // the mean feature of each grid position over a sample of the data set
};

// Which patches are the object that relevance (Eq. 8) is measured from. All but the first take one
// side of the normalised cut.
enum class ObjectRule {
  hardest,      // no cut: the quarter of the patches that the model itself reconstructs worst
  eigenvector,  // the paper's: the side that holds the largest |y_1|, as a rule the smaller one
  inside,       // the side that lies less along the image's border, however large it is
  smaller,      // the side of fewer patches
  degree,       // the side less similar to all patches (the seeds of LOST and TokenCut)
  error,        // the side that the model itself reconstructs worse
  variance      // the side whose pixels vary more within their patches
};

// The graph of normalised cut. Negative weights would make D - M indefinite and the cut ill-posed,
// so weights below `tau` become `epsilon` (TokenCut's weighted-graph option, with its default tau).
struct NcutOptions {
  double tau = 0;
  double epsilon = 1e-5;
  bool binary = false;  // weights of tau and more become 1 (TokenCut's other option)
};

enum class NcutSolver {
  fast,  // the second eigenvector alone, checked; exact where the check fails
  exact  // full fp64 eigendecomposition: the oracle
};

}  // namespace sgmae
