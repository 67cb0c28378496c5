// A graph of ONNX operators while it is put together, and the file of it: protocol buffers of
// onnx.proto, written by hand, since LibTorch has no exporter. Values go by name.
//
//   OnnxGraph graph(at::kFloat);
//   const std::string x = graph.input("x", {{"batch"}, {8}});
//   graph.output("y", graph.node("MatMul", {x, graph.weight("w", w)}), {{"batch"}, {4}});
//   graph.write("model.onnx", {});
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace sgmae {

// A side of a tensor: its size, or what a size that is known at run time only is called.
struct OnnxDim {
  OnnxDim(std::int64_t known) : size(known) {}   // NOLINT: a size is a side
  OnnxDim(const char* called) : name(called) {}  // NOLINT
  std::int64_t size = 0;
  std::string name;  // "" for a known size
};

using OnnxAttribute = std::variant<std::int64_t, float, std::string, std::vector<std::int64_t>>;
using OnnxAttributes = std::vector<std::pair<std::string, OnnxAttribute>>;

class OnnxGraph {
 public:
  // Of the operators: LayerNormalization is one since 17, Gelu since 20. The file's own version is
  // the one that came with that set.
  static constexpr std::int64_t opset = 20, ir_version = 9;

  // `type` is that of weights and of all values between input and output: fp32 or fp16.
  explicit OnnxGraph(at::ScalarType type) : type_(type) {}

  // What follows is named NAME/… .
  void scope(std::string name) { scope_ = std::move(name); }

  // A weight in the graph's type. One with that name is made once only: it is the same again.
  // Throws Error(checkpoint) for values that fp16 does not hold.
  std::string weight(const std::string& name, const at::Tensor& value);
  // A list of numbers, for shapes, axes and indices. Equal ones are one.
  std::string integers(const std::vector<std::int64_t>& values);
  // int64 tensor of any shape.
  std::string indices(const std::string& name, const at::Tensor& value);

  // An operator with one result, whose name comes back. "" stands for an input that is left out.
  std::string node(const std::string& op, const std::vector<std::string>& inputs,
                   const OnnxAttributes& attributes = {});
  std::vector<std::string> node(const std::string& op, const std::vector<std::string>& inputs,
                                const OnnxAttributes& attributes, int outputs);

  // They are fp32 whatever the graph's type, or an output of labels uint8.
  std::string input(const std::string& name, std::vector<OnnxDim> shape);
  void output(const std::string& name, const std::string& value, std::vector<OnnxDim> shape,
              at::ScalarType type = at::kFloat);

  // Atomic. Weights lie in the file, unless they are more than `most_inside` bytes together: then
  // in PATH.data beside it, which is written first. Protocol buffers end at 2 GiB.
  struct FileOptions {
    std::string description = {};
    std::map<std::string, std::string> metadata = {};
    std::uint64_t most_inside = 1'900'000'000;
  };
  void write(const std::filesystem::path& path, const FileOptions& options) const;

 private:
  struct Initializer {
    std::string name;
    at::Tensor value;  // contiguous, on the CPU
  };
  std::string initializer(const std::string& name, at::Tensor value);
  std::string fresh(const std::string& op);

  at::ScalarType type_;
  std::string scope_, nodes_, inputs_, outputs_;  // messages
  std::vector<Initializer> initializers_;
  std::map<std::string, std::size_t> places_;  // of initializers, by name
  std::map<std::string, int> used_;            // names of results
};

}  // namespace sgmae
