// sgmae._native: models for python/sgmae/__init__.py, by NumPy arrays alone. It links LibTorch and
// not PyTorch; which LibTorch, __init__.py decides before it loads this.
#include <ATen/ops/from_blob.h>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include "sgmae/analysis/reconstruction.h"
#include "sgmae/base/error.h"
#include "sgmae/checkpoint/open_model.h"
#include "sgmae/checkpoint/write_model.h"
#include "sgmae/eval/token_features.h"
#include "sgmae/image/bands.h"
#include "sgmae/image/normalise.h"
#include "sgmae/image/resize.h"
#include "sgmae/mask/strategy.h"
#include "sgmae/mask/trained_guide.h"
#include "sgmae/nn/device.h"

namespace py = pybind11;

namespace sgmae {
namespace {

using Pixels = py::array_t<float, py::array::c_style | py::array::forcecast>;  // [B, C, H, W]
using Picture = py::array_t<std::uint8_t, py::array::c_style | py::array::forcecast>;  // [H, W, C]
using Values = Pixels;                                                                 // [H, W, C]
using Order = py::array_t<std::int64_t, py::array::c_style | py::array::forcecast>;    // [B, N]

template <class T>
py::array_t<T> to_numpy(const at::Tensor& tensor) {
  const at::Tensor dense = tensor.cpu().contiguous();
  py::array_t<T> array(std::vector<py::ssize_t>(dense.sizes().begin(), dense.sizes().end()));
  std::memcpy(array.mutable_data(), dense.data_ptr(), dense.nbytes());
  return array;
}

// The array's own memory, only to be read.
template <class Array>
at::Tensor view_of(const Array& array, at::ScalarType type) {
  const std::vector<std::int64_t> shape(array.shape(), array.shape() + array.ndim());
  return at::from_blob(const_cast<void*>(static_cast<const void*>(array.data())), shape, type);
}

// The command line's options of files that do not say all, as text by name, and a size.
OpenOptions open_options(const std::map<std::string, std::string>& given, std::int64_t height = 0,
                         std::int64_t width = 0) {
  OpenOptions options;
  Options declared;
  options.declare(declared);
  for (const auto& [name, value] : given) declared.set(name, value, name);
  options.height = height;
  options.width = width;
  return options;
}

class Model {
 public:
  Model(const std::string& path, const std::string& device, const std::string& precision,
        std::int64_t height, std::int64_t width,
        const std::map<std::string, std::string>& options) {
    const py::gil_scoped_release others_go_on;
    check(precision == "fp32" || precision == "bf16", ExitCode::usage, "precision: '", precision,
          "' is unknown; use fp32 or bf16");
    const at::Device where = open_device(device);
    opened_ = open_model(path, open_options(options, height, width));
    opened_->move_to(where);
    opened_->set_precision(precision == "bf16" ? Precision::bf16 : Precision::fp32);
  }

  py::dict facts() const {
    const VitConfig& c = config();
    using namespace py::literals;
    return py::dict(
        "path"_a = opened_->path.string(), "family"_a = name_of(opened_->family),
        "image_size"_a = py::make_tuple(c.height, c.width), "channels"_a = c.channels,
        "patch_size"_a = c.patch_size, "grid"_a = py::make_tuple(c.grid_height(), c.grid_width()),
        "dim"_a = c.size.dim, "depth"_a = c.size.depth, "heads"_a = c.size.heads,
        "mlp_hidden"_a = c.mlp_hidden, "layer_norm_eps"_a = c.layer_norm_eps,
        "layer_scale"_a = c.layer_scale, "registers"_a = c.registers,
        "class_token"_a = c.class_token, "classes"_a = c.classes,
        "batch_norm_head"_a = c.batch_norm_head,
        "pooling"_a = c.pooling == Pooling::cls    ? "cls"
                      : c.pooling == Pooling::mean ? "mean"
                                                   : "normed_mean",
        "decoder"_a = opened_->mae() != nullptr, "mean"_a = opened_->info.mean,
        "std"_a = opened_->info.std, "stored_values"_a = opened_->info.stored.has_value(),
        "class_names"_a = opened_->info.class_names);
  }

  // Pictures of any size, with the model's channels, as the commands see single files: squashed to
  // the model's size, normalised. Of a model of values as stored they are float32.
  py::array_t<float> preprocess(const std::vector<Picture>& pictures) const {
    Resizer resizer;
    Image scaled;
    return each_picture(pictures, [&](const Picture& picture, ImageSize size, float* out) {
      const auto width = static_cast<int>(picture.shape(1)),
                 height = static_cast<int>(picture.shape(0)),
                 channels = static_cast<int>(picture.shape(2));
      resizer.resize({picture.data(), width, height, channels, picture.shape(1) * channels}, size,
                     false, scaled);
      normalise(scaled, opened_->info.normalisation(), out);
    });
  }
  py::array_t<float> preprocess_values(const std::vector<Values>& pictures) const {
    BandResizer resizer;
    Bands bands, scaled;
    return each_picture(pictures, [&](const Values& picture, ImageSize size, float* out) {
      reshape(bands, {static_cast<int>(picture.shape(1)), static_cast<int>(picture.shape(0))},
              static_cast<int>(picture.shape(2)));
      std::copy_n(picture.data(), bands.values.size(), bands.values.begin());
      const Normalisation normalisation = opened_->info.normalisation();
      fill_nodata(bands, normalisation);
      resizer.resize(bands, size, whole(size), false, scaled);
      normalise(scaled, normalisation, out);
    });
  }

  // [B, D], or [B, N, D] of patches.
  py::array_t<float> features(const Pixels& pixels, const std::string& kind) const {
    at::Tensor found;
    {
      const py::gil_scoped_release others_go_on;
      const std::lock_guard<std::mutex> one_at_a_time(mutex_);
      TokenFeatures wanted = TokenFeatures::mean;
      Options option;
      option.add("kind", wanted, token_features(), "");
      option.set("kind", kind, "features()");
      found = features_of(*opened_, opened_->encoder().encode(checked(pixels)), wanted);
    }
    return to_numpy<float>(found);
  }

  // Guidance and informed masks; patches in the order of the image.
  py::dict masks(const Pixels& pixels, double mask_ratio, double hint_ratio,
                 const std::map<std::string, std::string>& given) const {
    GuidedMasks found;
    {
      const py::gil_scoped_release others_go_on;
      const std::lock_guard<std::mutex> one_at_a_time(mutex_);
      const GuideOptions options = trained_guide(*opened_, given);
      found = guided_masks(*opened_, checked(pixels), options, mask_ratio, hint_ratio);
    }
    const auto& [guide, plan, n_hints] = found;
    using namespace py::literals;
    return py::dict("order"_a = to_numpy<std::int64_t>(plan.order), "visible"_a = plan.n_visible,
                    "mask"_a = to_numpy<float>(mask_of(plan)),
                    "object_side"_a = to_numpy<std::uint8_t>(guide.object_side),
                    "relevance"_a = to_numpy<float>(guide.relevance),
                    "degenerate"_a = guide.degenerate);
  }

  // MAE's masks, keyed by seed and position in the batch: [B, N], visible first.
  py::array_t<std::int64_t> random_order(std::int64_t batch, double mask_ratio,
                                         std::uint64_t seed) const {
    std::vector<std::int64_t> index(static_cast<std::size_t>(batch));
    std::iota(index.begin(), index.end(), 0);
    const std::int64_t n = config().n_patches();
    return to_numpy<std::int64_t>(
        random_plan(index, n, visible_count(n, mask_ratio), seed, 0).order);
  }

  // Pixels [B, C, H, W], given where visible and predicted where masked, and the loss.
  py::tuple reconstruct(const Pixels& pixels, const Order& order, std::int64_t visible) const {
    const Mae* const mae = opened_->mae();
    check(mae != nullptr, ExitCode::checkpoint, opened_->path.string(),
          " has no decoder, without which nothing is reconstructed");
    double loss = 0;
    at::Tensor restored;
    {
      const py::gil_scoped_release others_go_on;
      const std::lock_guard<std::mutex> one_at_a_time(mutex_);
      const at::Tensor x = checked(pixels);
      const MaskPlan plan{view_of(order, at::kLong), visible};
      loss = mae->forward(x, plan).loss;
      restored = reconstruction(*mae, x, plan);
    }
    return py::make_tuple(to_numpy<float>(restored), loss);
  }

  // Normalised pixels [B, C, H, W] as pictures [B, H, W, C].
  py::array_t<std::uint8_t> pictures(const Pixels& pixels) const {
    const at::Tensor x = checked(pixels);
    const VitConfig& c = config();
    const Normalisation normalisation = opened_->info.normalisation();
    py::array_t<std::uint8_t> result(
        std::vector<py::ssize_t>{x.size(0), c.height, c.width, c.channels});
    std::uint8_t* out = result.mutable_data();
    for (std::int64_t b = 0; b < x.size(0); ++b) {
      const Image image =
          denormalise(x.select(0, b).const_data_ptr<float>(), static_cast<int>(c.channels),
                      {static_cast<int>(c.width), static_cast<int>(c.height)}, normalisation);
      out = std::copy(image.pixels.begin(), image.pixels.end(), out);
    }
    return result;
  }

 private:
  const VitConfig& config() const { return opened_->encoder().config(); }

  at::Tensor checked(const Pixels& pixels) const {
    const VitConfig& c = config();
    check(pixels.ndim() == 4 && pixels.shape(0) > 0 && pixels.shape(1) == c.channels &&
              pixels.shape(2) == c.height && pixels.shape(3) == c.width,
          ExitCode::usage, "pixels must be [images, ", c.channels, ", ", c.height, ", ", c.width,
          "] for this model");
    return view_of(pixels, at::kFloat);
  }

  // `make` is given each picture, the model's size, and where its pixels [C, H, W] are wanted.
  template <class Array, class Make>
  py::array_t<float> each_picture(const std::vector<Array>& pictures, const Make& make) const {
    const VitConfig& c = config();
    for (const Array& picture : pictures)
      check(picture.ndim() == 3 && picture.shape(2) == c.channels && picture.size() > 0,
            ExitCode::usage, "a picture must be [height, width, ", c.channels, "] for this model");
    py::array_t<float> pixels(std::vector<py::ssize_t>{static_cast<py::ssize_t>(pictures.size()),
                                                       c.channels, c.height, c.width});
    float* out = pixels.mutable_data();
    const py::gil_scoped_release others_go_on;
    for (const Array& picture : pictures) {
      make(picture, ImageSize{static_cast<int>(c.width), static_cast<int>(c.height)}, out);
      out += c.channels * c.height * c.width;
    }
    return pixels;
  }

  // While it computes other threads of Python go on; one at a time uses the model.
  mutable std::mutex mutex_;
  std::optional<OpenedModel> opened_;
};

void write_as(const std::string& path, const std::string& output, const std::string& family,
              const std::map<std::string, std::string>& options) {
  const py::gil_scoped_release others_go_on;
  const std::optional<Family> wanted = family_named(family);
  check(wanted.has_value(), ExitCode::usage, "there is no family '", family, "'");
  write_model(output, read_model_file(path, open_options(options)), *wanted);
}

}  // namespace
}  // namespace sgmae

PYBIND11_MODULE(_native, m) {
  using py::arg;
  using sgmae::Model;
  py::register_local_exception<sgmae::Error>(m, "Error", PyExc_ValueError);
  py::class_<Model>(m, "Model", py::module_local())
      .def(py::init<const std::string&, const std::string&, const std::string&, std::int64_t,
                    std::int64_t, const std::map<std::string, std::string>&>(),
           arg("path"), arg("device"), arg("precision"), arg("height"), arg("width"),
           arg("options"))
      .def("facts", &Model::facts)
      .def("preprocess", &Model::preprocess, arg("pictures"))
      .def("preprocess_values", &Model::preprocess_values, arg("pictures"))
      .def("features", &Model::features, arg("pixels"), arg("kind"))
      .def("masks", &Model::masks, arg("pixels"), arg("mask_ratio"), arg("hint_ratio"),
           arg("given"))
      .def("random_order", &Model::random_order, arg("batch"), arg("mask_ratio"), arg("seed"))
      .def("reconstruct", &Model::reconstruct, arg("pixels"), arg("order"), arg("visible"))
      .def("pictures", &Model::pictures, arg("pixels"));
  m.def("write_as", &sgmae::write_as, arg("path"), arg("output"), arg("family"), arg("options"));
}
