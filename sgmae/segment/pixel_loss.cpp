#include "sgmae/segment/pixel_loss.h"

#include <ATen/Parallel.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/upsample_bilinear2d.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "sgmae/base/error.h"
#include "sgmae/dense/kernels/maps.h"
#include "sgmae/image/label_map.h"
#include "sgmae/nn/device.h"

namespace sgmae {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Where `to` places lie among `from`, by the middles of their cells.
struct Axis {
  std::vector<std::int32_t> low, high;
  std::vector<float> weight;

  Axis(std::int64_t from, std::int64_t to) {
    const float scale = static_cast<float>(from) / static_cast<float>(to);
    for (std::int64_t i = 0; i < to; ++i) {
      const float place = std::max(0.0f, (static_cast<float>(i) + 0.5f) * scale - 0.5f);
      const auto below =
          std::min(static_cast<std::int32_t>(place), static_cast<std::int32_t>(from - 1));
      low.push_back(below);
      high.push_back(std::min(below + 1, static_cast<std::int32_t>(from - 1)));
      weight.push_back(place - static_cast<float>(below));
    }
  }
};

// Sums over the pixels of logits, and their gradient; on a CPU.
struct Summed {
  double loss = 0;
  std::int64_t right = 0;
  at::Tensor gradient;  // [B, classes, h, w] fp32
};

// Rows of pixels are taken in strips. Each adds up gradients of the rows of logits that it touches,
// and these are then put together in order, whatever the number of threads.
Summed summed(const at::Tensor& logits, const at::Tensor& labels) {
  constexpr std::int64_t strip_rows = 32, vector = 16;
  constexpr float none = -1e30f;  // e^none is 0, and interpolation leaves it finite
  const std::int64_t batch = logits.size(0), classes = logits.size(1), rows = logits.size(2),
                     columns = logits.size(3), height = labels.size(1), width = labels.size(2);
  const std::int64_t padded = (classes + vector - 1) / vector * vector, line = columns * padded;
  const at::Tensor values = at::full({batch, rows, columns, padded}, none);
  values.narrow(3, 0, classes).copy_(logits.permute({0, 2, 3, 1}));
  const Axis down(rows, height), across(columns, width);
  const AxisPlaces places{across.low.data(), across.high.data(), across.weight.data()};

  const std::int64_t strips = (height + strip_rows - 1) / strip_rows;
  std::vector<at::Tensor> gradients(static_cast<std::size_t>(batch * strips));
  std::vector<CrossEntropySums> sums(gradients.size());
  const auto first_row = [&](std::int64_t strip) {
    return down.low[static_cast<std::size_t>(strip * strip_rows)];
  };
  at::parallel_for(0, batch * strips, 1, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> memory(static_cast<std::size_t>(2 * line + padded));
    for (std::int64_t job = begin; job < end; ++job) {
      const std::int64_t image = job / strips, strip = job % strips;
      const std::int64_t last = std::min((strip + 1) * strip_rows, height);
      const std::int64_t touched =
          down.high[static_cast<std::size_t>(last - 1)] - first_row(strip) + 1;
      const auto index = static_cast<std::size_t>(job);
      gradients[index] = at::zeros({touched, columns, padded});
      const float* const from = values.const_data_ptr<float>() + image * rows * line;
      float* const to = gradients[index].data_ptr<float>();
      for (std::int64_t y = strip * strip_rows; y < last; ++y) {
        const auto at = static_cast<std::size_t>(y);
        map_kernels().cross_entropy_row(
            width, columns, padded, from + down.low[at] * line, from + down.high[at] * line,
            down.weight[at], places,
            labels.const_data_ptr<std::uint8_t>() + (image * height + y) * width, unlabelled_pixel,
            memory.data(), to + (down.low[at] - first_row(strip)) * line,
            to + (down.high[at] - first_row(strip)) * line, sums[index]);
      }
    }
  });

  Summed result;
  const at::Tensor gradient = at::zeros({batch, rows, columns, padded});
  for (std::size_t job = 0; job < gradients.size(); ++job) {
    const auto image = static_cast<std::int64_t>(job) / strips;
    const auto strip = static_cast<std::int64_t>(job) % strips;
    gradient[image].narrow(0, first_row(strip), gradients[job].size(0)).add_(gradients[job]);
    gradients[job] = at::Tensor();
    result.loss += sums[job].loss;
    result.right += sums[job].right;
  }
  result.gradient = gradient.narrow(3, 0, classes).permute({0, 3, 1, 2});
  return result;
}

// The mean and the share that is right, as one tensor [2]; only the first has gradients.
struct MeanCrossEntropy : torch::autograd::Function<MeanCrossEntropy> {
  static variable_list forward(AutogradContext* context, const at::Tensor& logits,
                               const at::Tensor& labels, std::int64_t labelled) {
    const Summed sums = summed(logits, labels);
    const double count = static_cast<double>(labelled);
    context->save_for_backward({sums.gradient.div(count)});
    const at::Tensor right = at::full({}, static_cast<double>(sums.right) / count, at::kFloat);
    context->mark_non_differentiable({right});
    return {at::full({}, sums.loss / count, at::kFloat), right};
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    return {context->get_saved_variables()[0].mul(gradients[0]), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

PixelLoss pixel_loss(const at::Tensor& logits, const at::Tensor& labels) {
  SGMAE_ASSERT(logits.dim() == 4 && labels.dim() == 3 && labels.scalar_type() == at::kByte &&
               labels.size(0) == logits.size(0));
  const std::int64_t classes = logits.size(1);
  const at::Tensor counted = labels.ne(unlabelled_pixel);
  const auto labelled = counted.sum().item<std::int64_t>();
  if (labelled == 0) {
    const at::Tensor zero = logits.to(at::kFloat).mul(0).sum();
    return {zero, zero.detach()};
  }
  const auto largest = labels.mul(counted).max().item<std::int64_t>();
  check(largest < classes, ExitCode::data, "a pixel is labelled ", largest, ", but the model has ",
        classes, " classes, 0 to ", classes - 1);
  if (logits.is_cpu()) {
    const auto results = MeanCrossEntropy::apply(logits, labels.contiguous(), labelled);
    return {results[0], results[1]};
  }
  const at::Tensor target = send(labels, logits.device()).to(at::kLong);
  const at::Tensor sized =
      at::upsample_bilinear2d(logits.to(at::kFloat), {labels.size(1), labels.size(2)}, false);
  const at::Tensor right = sized.detach().argmax(1).eq(target).sum().to(at::kFloat);
  return {at::cross_entropy_loss(sized, target, {}, /*reduction=mean*/ 1, unlabelled_pixel),
          right.div(static_cast<double>(labelled))};
}

}  // namespace sgmae
