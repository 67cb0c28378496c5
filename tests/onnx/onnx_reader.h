// Reads an ONNX file and computes what its graph says, with LibTorch's operators: an account of
// onnx.proto and of the operators that is independent of the writer.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/conv_transpose2d.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/max_pool2d.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/upsample_bicubic2d.h>
#include <ATen/ops/upsample_bilinear2d.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "sgmae/base/file.h"

namespace sgmae::onnx_reader {

// A message as its fields, in order: numbers of varints, bits of fixed32, bytes of the rest.
struct Field {
  int number = 0;
  std::uint64_t value = 0;
  std::string bytes;
};

inline std::vector<Field> fields(const std::string& message) {
  std::vector<Field> all;
  std::size_t at = 0;
  const auto varint = [&] {
    std::uint64_t value = 0;
    for (int shift = 0; at < message.size(); shift += 7) {
      const auto byte = static_cast<unsigned char>(message[at++]);
      value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    return value;
  };
  while (at < message.size()) {
    const std::uint64_t tag = varint();
    Field field{.number = static_cast<int>(tag >> 3), .value = 0, .bytes = {}};
    if ((tag & 7) == 0) {
      field.value = varint();
    } else if ((tag & 7) == 5) {
      std::uint32_t bits = 0;
      std::memcpy(&bits, message.data() + at, 4);
      field.value = bits, at += 4;
    } else {
      EXPECT_EQ(tag & 7, 2u);
      const std::uint64_t size = varint();
      EXPECT_LE(at + size, message.size());
      field.bytes = message.substr(at, size), at += size;
    }
    all.push_back(std::move(field));
  }
  return all;
}

inline std::vector<std::string> texts(const std::string& message, int number) {
  std::vector<std::string> found;
  for (const Field& field : fields(message))
    if (field.number == number) found.push_back(field.bytes);
  return found;
}
inline std::string text(const std::string& message, int number) {
  const auto found = texts(message, number);
  return found.empty() ? "" : found.front();
}
inline std::int64_t number(const std::string& message, int number) {
  for (const Field& field : fields(message))
    if (field.number == number) return static_cast<std::int64_t>(field.value);
  return -1;
}

struct Attribute {
  std::int64_t i = 0;
  float f = 0;
  std::string s;
  std::vector<std::int64_t> ints;
};

struct Node {
  std::string op;
  std::vector<std::string> inputs, outputs;
  std::map<std::string, Attribute> attributes;

  std::int64_t i(const char* name, std::int64_t otherwise = 0) const {
    const auto found = attributes.find(name);
    return found == attributes.end() ? otherwise : found->second.i;
  }
  std::vector<std::int64_t> ints(const char* name) const {
    const auto found = attributes.find(name);
    return found == attributes.end() ? std::vector<std::int64_t>{} : found->second.ints;
  }
};

struct Model {
  std::int64_t ir_version = 0, opset = 0;
  std::map<std::string, std::string> metadata;
  std::map<std::string, at::Tensor> initializers;
  std::vector<Node> nodes;
  std::map<std::string, std::vector<std::string>> inputs, outputs;  // shapes, as text

  int count(const std::string& op) const {
    int n = 0;
    for (const Node& node : nodes) n += node.op == op;
    return n;
  }
};

inline at::Tensor read_tensor(const std::string& message, const std::filesystem::path& folder) {
  std::vector<std::int64_t> shape;
  for (const Field& field : fields(message))
    if (field.number == 1) shape.push_back(static_cast<std::int64_t>(field.value));
  const std::int64_t type = number(message, 2);
  at::Tensor tensor = at::empty(shape, type == 1 ? at::kFloat : type == 10 ? at::kHalf : at::kLong);
  std::string raw = text(message, 9);
  if (number(message, 14) == 1) {
    std::map<std::string, std::string> external;
    for (const std::string& entry : texts(message, 13)) external[text(entry, 1)] = text(entry, 2);
    const std::string all = read_text(folder / external.at("location"));
    EXPECT_EQ(std::stoull(external.at("offset")) % 4096, 0u);
    raw = all.substr(std::stoull(external.at("offset")), std::stoull(external.at("length")));
  }
  EXPECT_EQ(raw.size(), tensor.nbytes());
  std::memcpy(tensor.mutable_data_ptr(), raw.data(), tensor.nbytes());
  return tensor;
}

inline std::vector<std::string> read_shape(const std::string& value_info) {
  std::vector<std::string> shape;
  const std::string tensor = text(text(value_info, 2), 1);
  EXPECT_EQ(number(tensor, 1), text(value_info, 1) == "labels" ? 2 : 1)
      << "labels are uint8, other inputs and outputs fp32";
  for (const std::string& dim : texts(text(tensor, 2), 1)) {
    const std::string name = text(dim, 2);
    shape.push_back(name.empty() ? std::to_string(number(dim, 1)) : name);
  }
  return shape;
}

inline Model read_model(const std::filesystem::path& path) {
  const std::string file = read_text(path);
  Model model;
  model.ir_version = number(file, 1);
  model.opset = number(text(file, 8), 2);
  for (const std::string& entry : texts(file, 14)) model.metadata[text(entry, 1)] = text(entry, 2);
  const std::string graph = text(file, 7);
  for (const std::string& message : texts(graph, 5))
    model.initializers[text(message, 8)] = read_tensor(message, path.parent_path());
  for (const std::string& message : texts(graph, 11))
    model.inputs[text(message, 1)] = read_shape(message);
  for (const std::string& message : texts(graph, 12))
    model.outputs[text(message, 1)] = read_shape(message);
  for (const std::string& message : texts(graph, 1)) {
    Node node{text(message, 4), texts(message, 1), texts(message, 2), {}};
    for (const std::string& entry : texts(message, 5)) {
      Attribute attribute;
      attribute.s = text(entry, 4);
      for (const Field& field : fields(entry)) {
        if (field.number == 2) {
          const auto bits = static_cast<std::uint32_t>(field.value);
          std::memcpy(&attribute.f, &bits, 4);
        }
        if (field.number == 3) attribute.i = static_cast<std::int64_t>(field.value);
        if (field.number == 8) attribute.ints.push_back(static_cast<std::int64_t>(field.value));
      }
      node.attributes[text(entry, 1)] = attribute;
    }
    model.nodes.push_back(std::move(node));
  }
  return model;
}

inline std::vector<std::int64_t> list(const at::Tensor& tensor) {
  const auto* first = tensor.const_data_ptr<std::int64_t>();
  return {first, first + tensor.numel()};
}

// The graph's outputs for `pixels`. Fails where a node's input is none of what comes before it.
inline std::map<std::string, at::Tensor> compute(const Model& model, const at::Tensor& pixels) {
  std::map<std::string, at::Tensor> values = model.initializers;
  values["pixels"] = pixels;
  for (const Node& node : model.nodes) {
    std::vector<at::Tensor> x;
    for (const std::string& name : node.inputs) {
      EXPECT_TRUE(name.empty() || values.contains(name)) << node.op << " reads " << name;
      x.push_back(name.empty() ? at::Tensor() : values[name]);
    }
    const std::string& op = node.op;
    std::vector<at::Tensor> y(1);
    if (op == "Identity")
      y[0] = x[0];
    else if (op == "Cast")
      y[0] = x[0].to(node.i("to") == 10 ? at::kHalf : node.i("to") == 2 ? at::kByte : at::kFloat);
    else if (op == "Add")
      y[0] = x[0].add(x[1]);
    else if (op == "Sub")
      y[0] = x[0].sub(x[1]);
    else if (op == "Mul")
      y[0] = x[0].mul(x[1]);
    else if (op == "MatMul")
      y[0] = at::matmul(x[0], x[1]);
    else if (op == "Softmax")
      y[0] = x[0].softmax(node.i("axis"));
    else if (op == "Gelu")
      y[0] = at::gelu(x[0]);
    else if (op == "Relu")
      y[0] = x[0].relu();
    else if (op == "ArgMax")
      y[0] = x[0].argmax(node.i("axis"), node.i("keepdims", 1) != 0);
    else if (op == "Transpose")
      y[0] = x[0].permute(node.ints("perm"));
    else if (op == "Gather")
      y[0] = x[0].index_select(0, x[1].flatten()).view({x[1].size(0), x[1].size(1), x[0].size(1)});
    else if (op == "Squeeze")
      y[0] = x[0].squeeze(list(x[1])[0]);
    else if (op == "ReduceMean")
      y[0] = x[0].mean(list(x[1]), node.i("keepdims", 1) != 0);
    else if (op == "Expand")
      y[0] = x[0].expand(list(x[1]));
    else if (op == "Concat")
      y[0] = at::cat(x, node.i("axis"));
    else if (op == "Split")
      y = x[0].chunk(node.i("num_outputs"), node.i("axis"));
    else if (op == "LayerNormalization") {
      y[0] = at::layer_norm(x[0], {x[0].size(-1)}, x[1], x[2], node.attributes.at("epsilon").f);
    } else if (op == "Shape") {
      const std::vector<std::int64_t> all = x[0].sizes().vec();
      y[0] = at::tensor(std::vector(all.begin() + node.i("start"), all.begin() + node.i("end")),
                        at::kLong);
    } else if (op == "Reshape") {
      std::vector<std::int64_t> shape = list(x[1]);
      for (std::size_t i = 0; i < shape.size(); ++i)
        if (shape[i] == 0) shape[i] = x[0].size(static_cast<std::int64_t>(i));
      y[0] = x[0].reshape(shape);
    } else if (op == "Slice") {
      const std::int64_t step = x.size() > 4 ? list(x[4])[0] : 1;
      y[0] = x[0].slice(list(x[3])[0], list(x[1])[0], list(x[2])[0], step);
    } else if (op == "Pad") {
      const std::vector<std::int64_t> ends = list(x[1]);  // all beginnings, then all ends
      y[0] = at::constant_pad_nd(
          x[0], {ends[3], ends[7], ends[2], ends[6], ends[1], ends[5], ends[0], ends[4]});
    } else if (op == "Conv") {
      const auto pads = node.ints("pads"), strides = node.ints("strides");
      y[0] = at::conv2d(
          x[0], x[1], x.size() > 2 ? x[2] : at::Tensor(),
          strides.empty() ? std::vector<std::int64_t>{1, 1} : strides,
          pads.empty() ? std::vector<std::int64_t>{0, 0} : std::vector{pads[0], pads[1]});
    } else if (op == "ConvTranspose") {
      y[0] = at::conv_transpose2d(x[0], x[1], x[2], node.ints("strides"));
    } else if (op == "MaxPool") {
      y[0] = at::max_pool2d(x[0], node.ints("kernel_shape"), node.ints("strides"));
    } else if (op == "Resize") {
      EXPECT_EQ(node.attributes.at("coordinate_transformation_mode").s, "half_pixel");
      const std::vector<std::int64_t> size = list(x[3]);
      if (node.attributes.at("mode").s == "cubic") {
        EXPECT_EQ(node.attributes.at("cubic_coeff_a").f, -0.75f);
        y[0] = at::upsample_bicubic2d(x[0], {size[2], size[3]}, /*align_corners=*/false);
      } else {
        EXPECT_EQ(node.attributes.at("mode").s, "linear");
        EXPECT_EQ(node.ints("axes"), (std::vector<std::int64_t>{2, 3}));
        y[0] = at::upsample_bilinear2d(x[0], size, /*align_corners=*/false);
      }
    } else {
      ADD_FAILURE() << "an operator that nobody asked for: " << op;
    }
    EXPECT_EQ(y.size(), node.outputs.size()) << op;
    for (std::size_t i = 0; i < y.size(); ++i) {
      EXPECT_FALSE(values.contains(node.outputs[i])) << node.outputs[i] << " is made twice";
      values[node.outputs[i]] = y[i].contiguous();
    }
  }
  std::map<std::string, at::Tensor> results;
  for (const auto& [name, unused] : model.outputs) results[name] = values[name];
  return results;
}

}  // namespace sgmae::onnx_reader
