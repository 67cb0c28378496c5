// Oracle: the pure function (tests/analysis) on the tensors of one forward pass.
#include "sgmae/analysis/fourier.h"
#include "tests/eval/survey_models.h"

namespace sgmae {
namespace {

// 1e-4: of logarithms of amplitudes that may be small.
TEST(FourierMeasure, IsTheSpectrumBeforeWithinAndAfterBlocks) {
  const SmallRun run;
  const Survey survey = run.survey("fourier");
  const auto spectrum = [&](const char* tap) {
    return relative_log_amplitude(without_cls(run.of_first(tap)), 6, 6);  // [B, 3]
  };
  for (const auto& [label, depth, tap] : {std::tuple{"after blocks", 0.0, "encoder.embed"},
                                          {"after attention", 1.5, "encoder.1.attention_add"},
                                          {"after blocks", 2.0, "encoder.1.block_out"}})
    EXPECT_NEAR(
        value(survey, {.metric = "fourier_depth", .model = 0, .part = "encoder", .label = label},
              depth),
        mean(spectrum(tap).select(1, 2)), 1e-4);
  EXPECT_NEAR(
      value(survey, {.metric = "fourier_spectrum", .model = 0, .part = "encoder", .block = 1},
            diagonal_frequencies(6, 6)[1]),
      mean(spectrum("encoder.1.block_out").select(1, 1)), 1e-4);
}

}  // namespace
}  // namespace sgmae
