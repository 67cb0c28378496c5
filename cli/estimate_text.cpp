#include "cli/estimate_text.h"

#include <algorithm>
#include <tuple>
#include <vector>

#include "sgmae/base/error.h"
#include "sgmae/base/host.h"
#include "sgmae/nn/device.h"

namespace sgmae {
namespace {

using MemoryKinds = std::vector<std::tuple<const char*, const char*, double>>;  // key, words, bytes

MemoryKinds kinds(const MemoryEstimate& m) {
  return {{"weights", "weights, fp32", m.weights},
          {"gradients", "gradients, fp32", m.gradients},
          {"moments", "AdamW's moments, fp32", m.moments},
          {"mask_networks", "networks of the masks, fp32", m.mask_networks},
          {"weight_copies", "weights in bf16", m.weight_copies},
          {"activations", "activations at their peak", m.activations},
          {"packing", "packed operand of a product", m.packing},
          {"gaps", "gaps of the heap (an eighth of those)", m.gaps},
          {"batches", "batches of the loaders", m.batches},
          {"data_set", "names and order of the images", m.data_set},
          {"program", "program and libraries", m.program}};
}

std::string padded(const std::string& text, std::size_t width) {
  return text.size() < width ? std::string(width - text.size(), ' ') + text : text;
}

}  // namespace

RunPlace planned_place(const std::string& device, std::int64_t processes,
                       std::int64_t processes_per_host) {
  const bool cuda = device == "cuda" || device.starts_with("cuda:");
  return {.device = cuda ? at::Device(at::kCUDA) : open_device(device),
          .processes = processes,
          .processes_per_host = processes_per_host};
}

std::string estimate_line(const std::string& label, const std::string& value,
                          const std::string& unit) {
  std::string text = "  " + label;
  text.resize(std::max<std::size_t>(text.size() + 1, 44), ' ');
  return text + padded(value, 12) + (unit.empty() ? "" : " " + unit) + "\n";
}

std::string mib(double bytes) {
  return fixed(bytes / (1 << 20), 0);
}

std::string memory_text(const MemoryEstimate& m, bool on_cpu, std::int64_t together) {
  std::string text = "memory of one process\n";
  for (const auto& [key, words, bytes] : kinds(m))
    if (bytes > 0) text += estimate_line(words, mib(bytes), "MiB");
  text += estimate_line("sum", mib(m.sum()), "MiB");
  if (!on_cpu)
    text += estimate_line("of it on the GPU", mib(m.of_model()), "MiB, beside CUDA's own");
  const double on_host = (on_cpu ? m.sum() : m.of_host()) * static_cast<double>(together);
  const double here = static_cast<double>(host_memory().total);
  if (together > 1)
    text += estimate_line(str("on a host, ", together, " processes"), mib(on_host), "MiB");
  if (on_host > here)
    text += str("  This machine has ", mib(here), " MiB: the run does not fit it",
                together > 1 && m.sum() <= here ? " with so many processes" : "", ".\n");
  return text;
}

nlohmann::ordered_json memory_json(const MemoryEstimate& m, bool on_cpu) {
  nlohmann::ordered_json memory;
  for (const auto& [key, words, bytes] : kinds(m)) memory[key] = bytes;
  memory["sum"] = m.sum();
  memory["on_device"] = on_cpu ? 0 : m.of_model();
  return memory;
}

}  // namespace sgmae
