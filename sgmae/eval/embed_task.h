// From images to their features: a pass over a data set that goes on where it was stopped.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "sgmae/base/options.h"
#include "sgmae/eval/embedding.h"
#include "sgmae/eval/labelled_data.h"
#include "sgmae/train/compute.h"

namespace sgmae {

struct EmbedTask {
  enum class OnUnreadable { nan, fail };

  std::string checkpoint, split = "train";
  LabelledData data;
  TokenFeatures features = TokenFeatures::mean;
  OnUnreadable unreadable = OnUnreadable::nan;
  std::int64_t batch_size = 64, input_size = 0;
  OpenOptions open;
  ComputeOptions compute;

  void declare(Options& options);
  // Throws Error(usage).
  void check() const;
  // What arguments name: image files, or in place of data_path one folder, list or archive. Returns
  // the files. Throws Error(usage) for a mixture, and where nothing is named.
  std::vector<std::string> take_images(const std::vector<std::string>& arguments);
};

// Opens what the task names: its data set, or `files`.
std::unique_ptr<Source> open_images(const EmbedTask& task, const std::vector<std::string>& files);

// Features of all images, each processes' part of them; process 0 gets them. Rows that are done are
// kept in the file `kept` while the pass goes on, if that is not empty, and what a pass of the same
// images by the same model left there is not computed again: the result has the same bits. The
// caller removes it. Throws Error, as open_model() and the loader do; checkpoint for features that
// are not finite.
Embedding embed_images(EmbedTask task, const std::vector<std::string>& files,
                       const std::filesystem::path& kept);

}  // namespace sgmae
