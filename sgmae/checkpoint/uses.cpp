#include "sgmae/checkpoint/uses.h"

#include "sgmae/base/error.h"

namespace sgmae {

const std::vector<UseInfo>& uses() {
  static const std::vector<UseInfo> all{
      {Use::embed, "embed", "features of images"},
      {Use::knn, "knn", "accuracy of nearest neighbours on its features"},
      {Use::forward, "forward", "tensors of pixels in, tensors out"},
      {Use::mask, "mask", "clusters and relevance from the encoder"},
      {Use::analyze, "analyze", "measures and pictures of what it has learned"},
      {Use::linprobe, "linprobe", "a linear classifier on its features"},
      {Use::finetune, "finetune", "a classifier trained from it"},
      {Use::reconstruct, "reconstruct", "fill in hidden patches"}};
  return all;
}

void check_use(Use use, const VitConfig& config, bool decoder, bool stored_values,
               const std::filesystem::path& file) {
  check(use == Use::forward || stored_values || config.channels == 1 || config.channels == 3,
        ExitCode::usage, file.string(), ": the model takes images of ", config.channels,
        " channels, and how their values are normalised is not known; say it with --pixel_mean and "
        "--pixel_std, in units of the stored values, or give it tensors (sgmae forward)");
  if (use == Use::reconstruct) check_decoder(decoder, file);
  check(use != Use::linprobe || config.pooling != Pooling::mean, ExitCode::usage, file.string(),
        ": a classifier fine-tuned with global pooling; its encoder has no final norm whose output "
        "could be probed; probe the encoder from which it was trained");
  check((use != Use::knn && use != Use::linprobe) || config.class_token, ExitCode::usage,
        file.string(),
        ": the model has no class token, which this command evaluates beside the mean of the "
        "patches; use a model with one, or sgmae embed");
}

void check_decoder(bool decoder, const std::filesystem::path& file) {
  check(decoder, ExitCode::checkpoint, file.string(),
        ": holds an encoder only (no 'mask_token'), and this needs the decoder too; use a full "
        "checkpoint");
}

}  // namespace sgmae
