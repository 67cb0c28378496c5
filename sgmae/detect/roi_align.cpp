#include "sgmae/detect/roi_align.h"

#include <ATen/Parallel.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <vector>

#include "sgmae/detect/roi_axis.h"

namespace sgmae {
namespace {

struct Roi {
  Axis rows, columns;
};

std::vector<Roi> rois_of(const at::Tensor& boxes, std::int64_t height, std::int64_t width,
                         const RoiAlign& options) {
  const at::Tensor on_host = boxes.cpu().contiguous();
  const float* box = on_host.data_ptr<float>();
  std::vector<Roi> rois(static_cast<std::size_t>(boxes.size(0)));
  for (Roi& roi : rois) {
    roi = {axis_of(box[1], box[3], height, options), axis_of(box[0], box[2], width, options)};
    box += 4;
  }
  return rois;
}

void add_scaled(float* to, const float* from, float weight, std::int64_t n) {
  for (std::int64_t c = 0; c < n; ++c) to[c] += weight * from[c];
}

// feature [H, W, C] -> out [n, size, size, C], which is zero.
void forward(const at::Tensor& feature, const std::vector<Roi>& rois, at::Tensor& out) {
  const std::int64_t width = feature.size(1), channels = feature.size(2), size = out.size(1);
  const float* const map = feature.data_ptr<float>();
  float* const results = out.data_ptr<float>();
  at::parallel_for(
      0, static_cast<std::int64_t>(rois.size()), 1, [&](std::int64_t begin, std::int64_t end) {
        std::vector<float> row(static_cast<std::size_t>(size * channels));  // [size, C]
        for (std::int64_t n = begin; n < end; ++n) {
          const auto& [rows, columns] = rois[static_cast<std::size_t>(n)];
          for (std::int64_t y = 0; y < rows.count; ++y) {
            std::fill(row.begin(), row.end(), 0.f);
            const float* const line = map + ((rows.first + y) * width + columns.first) * channels;
            for (std::int64_t j = 0; j < size; ++j)
              for (std::int64_t x = 0; x < columns.count; ++x)
                if (const float w = columns.weight[static_cast<std::size_t>(j * columns.count + x)];
                    w != 0)
                  add_scaled(&row[static_cast<std::size_t>(j * channels)], line + x * channels, w,
                             channels);
            for (std::int64_t i = 0; i < size; ++i)
              if (const float w = rows.weight[static_cast<std::size_t>(i * rows.count + y)]; w != 0)
                add_scaled(results + (n * size + i) * size * channels, row.data(), w,
                           size * channels);
          }
        }
      });
}

// dfeature [H, W, C] += the gradient for dout [n, size, size, C]. Boxes overlap, so that each
// thread takes some channels of all of them: the sums are the same for any number of threads.
void backward(const at::Tensor& dout, const std::vector<Roi>& rois, at::Tensor& dfeature) {
  constexpr std::int64_t slice = 16;  // channels; a cache line
  const std::int64_t width = dfeature.size(1), channels = dfeature.size(2), size = dout.size(1);
  const float* const gradients = dout.data_ptr<float>();
  float* const map = dfeature.data_ptr<float>();
  at::parallel_for(0, (channels + slice - 1) / slice, 1, [&](std::int64_t begin, std::int64_t end) {
    const std::int64_t first = begin * slice;
    const std::int64_t own = std::min(end * slice, channels) - first;
    std::vector<float> row(static_cast<std::size_t>(size * own));  // [size, own]
    for (std::size_t n = 0; n < rois.size(); ++n) {
      const auto& [rows, columns] = rois[n];
      const float* const cells =
          gradients + static_cast<std::int64_t>(n) * size * size * channels + first;
      for (std::int64_t y = 0; y < rows.count; ++y) {
        std::fill(row.begin(), row.end(), 0.f);
        for (std::int64_t i = 0; i < size; ++i)
          if (const float w = rows.weight[static_cast<std::size_t>(i * rows.count + y)]; w != 0)
            for (std::int64_t j = 0; j < size; ++j)
              add_scaled(&row[static_cast<std::size_t>(j * own)], cells + (i * size + j) * channels,
                         w, own);
        float* const line = map + ((rows.first + y) * width + columns.first) * channels + first;
        for (std::int64_t j = 0; j < size; ++j)
          for (std::int64_t x = 0; x < columns.count; ++x)
            if (const float w = columns.weight[static_cast<std::size_t>(j * columns.count + x)];
                w != 0)
              add_scaled(line + x * channels, &row[static_cast<std::size_t>(j * own)], w, own);
      }
    }
  });
}

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct OnCpu : torch::autograd::Function<OnCpu> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& feature,
                            const at::Tensor& boxes, const RoiAlign& options) {
    const std::int64_t channels = feature.size(0), height = feature.size(1),
                       width = feature.size(2);
    const std::vector<Roi> rois = rois_of(boxes, height, width, options);
    at::Tensor out =
        at::zeros({boxes.size(0), options.size, options.size, channels}, feature.options());
    sgmae::forward(feature.permute({1, 2, 0}).contiguous(), rois, out);
    context->save_for_backward({boxes});
    context->saved_data["sizes"] =
        std::vector<std::int64_t>{height, width, channels, options.size, options.samples};
    context->saved_data["scale"] = options.scale;
    context->saved_data["aligned"] = options.aligned;
    return out.permute({0, 3, 1, 2});
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto sizes = context->saved_data["sizes"].toIntVector();
    const RoiAlign options{sizes[3], context->saved_data["scale"].toDouble(), sizes[4],
                           context->saved_data["aligned"].toBool()};
    const at::Tensor dout = gradients[0].to(at::kFloat).permute({0, 2, 3, 1}).contiguous();
    at::Tensor dfeature = at::zeros({sizes[0], sizes[1], sizes[2]}, dout.options());
    sgmae::backward(dout, rois_of(context->get_saved_variables()[0], sizes[0], sizes[1], options),
                    dfeature);
    return {dfeature.permute({2, 0, 1}), at::Tensor(), at::Tensor()};
  }
};

// [n, size, places] on the host.
at::Tensor dense(const std::vector<Roi>& rois, const Axis Roi::*which, std::int64_t size,
                 std::int64_t places) {
  at::Tensor weights =
      at::zeros({static_cast<std::int64_t>(rois.size()), size, places}, at::kFloat);
  float* to = weights.data_ptr<float>();
  for (const Roi& roi : rois) {
    const Axis& one = roi.*which;
    for (std::int64_t i = 0; i < size; ++i, to += places)
      std::copy_n(one.weight.begin() + i * one.count, one.count, to + one.first);
  }
  return weights;
}

}  // namespace

at::Tensor RoiAlign::operator()(const at::Tensor& feature, const at::Tensor& boxes) const {
  return feature.device().is_cpu() ? OnCpu::apply(feature, boxes, *this) : composed(feature, boxes);
}

at::Tensor RoiAlign::composed(const at::Tensor& feature, const at::Tensor& boxes) const {
  const std::int64_t channels = feature.size(0), height = feature.size(1), width = feature.size(2);
  const std::vector<Roi> rois = rois_of(boxes, height, width, *this);
  const at::Tensor rows = dense(rois, &Roi::rows, size, height).to(feature.device());
  const at::Tensor columns = dense(rois, &Roi::columns, size, width).to(feature.device());
  // Rows first, of all boxes at once; in parts, since that is `size` maps' rows for each.
  constexpr std::int64_t at_once = 1 << 27;  // values
  const std::int64_t step = std::max<std::int64_t>(1, at_once / (size * width * channels));
  const at::Tensor lines = feature.permute({1, 2, 0}).reshape({height, width * channels});
  std::vector<at::Tensor> parts{at::zeros({0, size, size, channels}, feature.options())};
  for (std::int64_t first = 0; first < boxes.size(0); first += step) {
    const std::int64_t count = std::min(step, boxes.size(0) - first);
    const at::Tensor by_row = rows.narrow(0, first, count).reshape({count * size, height});
    const at::Tensor taken = by_row.mm(lines).view({count, size, width, channels});
    // [count, size (rows), width, C] -> columns.
    parts.push_back(at::bmm(columns.narrow(0, first, count),
                            taken.transpose(1, 2).reshape({count, width, size * channels}))
                        .view({count, size, size, channels})
                        .transpose(1, 2));
  }
  return at::cat(parts).permute({0, 3, 1, 2});
}

}  // namespace sgmae
