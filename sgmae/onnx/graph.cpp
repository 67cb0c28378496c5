#include "sgmae/onnx/graph.h"

#include <ATen/ops/isfinite.h>
#include <ATen/ops/tensor.h>

#include <algorithm>

#include "sgmae/base/error.h"
#include "sgmae/base/file.h"
#include "sgmae/base/version.h"
#include "sgmae/io/protobuf.h"

namespace sgmae {
namespace {

using namespace protobuf;

// Numbers of onnx.proto's fields and kinds.
namespace model_field {
constexpr int ir_version = 1, producer = 2, producer_version = 3, doc = 6, graph = 7, opset = 8,
              metadata = 14;
}
namespace graph_field {
constexpr int node = 1, name = 2, initializer = 5, input = 11, output = 12;
}
namespace node_field {
constexpr int input = 1, output = 2, name = 3, op = 4, attribute = 5;
}
namespace attribute_field {
constexpr int name = 1, f = 2, i = 3, s = 4, ints = 8, type = 20;
}
namespace tensor_field {
constexpr int dims = 1, type = 2, name = 8, raw = 9, external = 13, location = 14;
}
constexpr std::uint64_t page = 4096;  // in external data, so that readers may map each tensor

std::int64_t data_type(at::ScalarType type) {  // TensorProto.DataType
  switch (type) {
    case at::kFloat:
      return 1;
    case at::kByte:
      return 2;
    case at::kLong:
      return 7;
    default:
      SGMAE_ASSERT(type == at::kHalf);
      return 10;
  }
}

std::string entry(const std::string& key, const std::string& value) {  // StringStringEntryProto
  std::string message;
  put_bytes(message, 1, key);
  put_bytes(message, 2, value);
  return message;
}

std::string attribute_message(const std::string& name, const OnnxAttribute& value) {
  std::string message;
  put_bytes(message, attribute_field::name, name);
  int type = 0;  // AttributeProto.AttributeType
  if (const auto* i = std::get_if<std::int64_t>(&value)) {
    put_integer(message, attribute_field::i, *i);
    type = 2;
  } else if (const auto* f = std::get_if<float>(&value)) {
    put_float(message, attribute_field::f, *f);
    type = 1;
  } else if (const auto* s = std::get_if<std::string>(&value)) {
    put_bytes(message, attribute_field::s, *s);
    type = 3;
  } else {
    for (const std::int64_t number : std::get<std::vector<std::int64_t>>(value))
      put_integer(message, attribute_field::ints, number);
    type = 7;
  }
  put_integer(message, attribute_field::type, type);
  return message;
}

// ValueInfoProto of a tensor.
std::string value_message(const std::string& name, const std::vector<OnnxDim>& shape,
                          at::ScalarType scalar) {
  std::string dims, tensor, type, message;
  for (const OnnxDim& dim : shape) {
    std::string one;
    if (dim.name.empty())
      put_integer(one, 1, dim.size);
    else
      put_bytes(one, 2, dim.name);
    put_bytes(dims, 1, one);
  }
  put_integer(tensor, 1, data_type(scalar));
  put_bytes(tensor, 2, dims);
  put_bytes(type, 1, tensor);
  put_bytes(message, 1, name);
  put_bytes(message, 2, type);
  return message;
}

}  // namespace

std::string OnnxGraph::initializer(const std::string& name, at::Tensor value) {
  if (places_.emplace(name, initializers_.size()).second)
    initializers_.push_back({name, std::move(value)});
  return name;
}

std::string OnnxGraph::weight(const std::string& name, const at::Tensor& value) {
  if (places_.contains(name)) return name;
  at::Tensor stored = value.cpu().to(at::kFloat).to(type_).contiguous();
  check(type_ == at::kFloat || at::isfinite(stored).all().item<bool>(), ExitCode::checkpoint,
        "tensor '", name,
        "' has values beyond 65504, which half precision does not hold; export it as fp32");
  return initializer(name, std::move(stored));
}

std::string OnnxGraph::integers(const std::vector<std::int64_t>& values) {
  std::string name = "integers";
  for (const std::int64_t value : values) name += str("_", value);
  return initializer(name, at::tensor(values, at::kLong));
}

std::string OnnxGraph::indices(const std::string& name, const at::Tensor& value) {
  return initializer(name, value.contiguous());
}

std::string OnnxGraph::fresh(const std::string& op) {
  const std::string name = scope_.empty() ? op : scope_ + "/" + op;
  const int before = used_[name]++;
  return before == 0 ? name : str(name, "_", before);
}

std::vector<std::string> OnnxGraph::node(const std::string& op,
                                         const std::vector<std::string>& inputs,
                                         const OnnxAttributes& attributes, int outputs) {
  const std::string name = fresh(op);
  std::string message;
  std::vector<std::string> results;
  for (const std::string& value : inputs) put_bytes(message, node_field::input, value);
  for (int i = 0; i < outputs; ++i) {
    results.push_back(outputs == 1 ? name : str(name, ":", i));
    put_bytes(message, node_field::output, results.back());
  }
  put_bytes(message, node_field::name, name);
  put_bytes(message, node_field::op, op);
  for (const auto& [key, value] : attributes)
    put_bytes(message, node_field::attribute, attribute_message(key, value));
  put_bytes(nodes_, graph_field::node, message);
  return results;
}

std::string OnnxGraph::node(const std::string& op, const std::vector<std::string>& inputs,
                            const OnnxAttributes& attributes) {
  return node(op, inputs, attributes, 1).front();
}

std::string OnnxGraph::input(const std::string& name, std::vector<OnnxDim> shape) {
  put_bytes(inputs_, graph_field::input, value_message(name, shape, at::kFloat));
  if (type_ == at::kFloat) return name;
  return node("Cast", {name}, {{"to", data_type(type_)}});
}

void OnnxGraph::output(const std::string& name, const std::string& value,
                       std::vector<OnnxDim> shape, at::ScalarType type) {
  put_bytes(outputs_, graph_field::output, value_message(name, shape, type));
  std::string message;  // whose result has a name that others know
  const bool cast = type != type_;
  put_bytes(message, node_field::input, value);
  put_bytes(message, node_field::output, name);
  put_bytes(message, node_field::name, "output/" + name);
  put_bytes(message, node_field::op, cast ? "Cast" : "Identity");
  if (cast) put_bytes(message, node_field::attribute, attribute_message("to", data_type(type)));
  put_bytes(nodes_, graph_field::node, message);
}

void OnnxGraph::write(const std::filesystem::path& path, const FileOptions& options) const {
  std::uint64_t bytes = 0;
  for (const Initializer& one : initializers_) bytes += one.value.nbytes();
  const bool outside = bytes > options.most_inside;

  // Each tensor's message but for its values, which follow where they lie inside.
  std::vector<std::string> heads;
  std::uint64_t graph_size = 0, offset = 0;
  const std::filesystem::path beside = path.string() + ".data";
  const auto lies_outside = [&](const Initializer& one) {
    return outside && one.value.scalar_type() != at::kLong;
  };
  for (const Initializer& one : initializers_) {
    std::string head;
    for (const std::int64_t size : one.value.sizes()) put_integer(head, tensor_field::dims, size);
    put_integer(head, tensor_field::type, data_type(one.value.scalar_type()));
    put_bytes(head, tensor_field::name, one.name);
    const std::uint64_t size = one.value.nbytes();
    if (lies_outside(one)) {
      for (const auto& [key, value] :
           {std::pair{"location", beside.filename().string()},
            std::pair{"offset", std::to_string(offset)}, std::pair{"length", std::to_string(size)}})
        put_bytes(head, tensor_field::external, entry(key, value));
      put_integer(head, tensor_field::location, 1);
      offset += (size + page - 1) / page * page;
    } else {
      put_length(head, tensor_field::raw, size);
    }
    std::string message;
    put_length(message, graph_field::initializer, head.size() + (lies_outside(one) ? 0 : size));
    heads.push_back(message + head);
    graph_size += heads.back().size() + (lies_outside(one) ? 0 : size);
  }
  std::string rest = nodes_;
  put_bytes(rest, graph_field::name, "sgmae");
  rest += inputs_ + outputs_;

  std::string model, opset_import;
  put_integer(model, model_field::ir_version, ir_version);
  put_bytes(model, model_field::producer, "sgmae");
  put_bytes(model, model_field::producer_version, version);
  put_bytes(model, model_field::doc, options.description);
  put_integer(opset_import, 2, opset);
  put_bytes(model, model_field::opset, opset_import);
  for (const auto& [key, value] : options.metadata)
    put_bytes(model, model_field::metadata, entry(key, value));
  put_length(model, model_field::graph, rest.size() + graph_size);

  if (outside) {
    AtomicFile data(beside);
    for (const Initializer& one : initializers_) {
      if (!lies_outside(one)) continue;
      const std::uint64_t size = one.value.nbytes();
      data.write(one.value.const_data_ptr(), size);
      data.write(std::string((page - size % page) % page, '\0'));
    }
    data.commit();
  }
  AtomicFile file(path);
  file.write(model);
  file.write(rest);
  for (std::size_t i = 0; i < initializers_.size(); ++i) {
    file.write(heads[i]);
    if (!lies_outside(initializers_[i]))
      file.write(initializers_[i].value.const_data_ptr(), initializers_[i].value.nbytes());
  }
  file.commit();
}

}  // namespace sgmae
