// What `sgmae estimate` shares, whatever it is of: its lines, and the place of the run.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "sgmae/tasks/expectation.h"

namespace sgmae {

// A GPU is planned with where there is none. Throws what open_device() throws.
RunPlace planned_place(const std::string& device, std::int64_t processes,
                       std::int64_t processes_per_host);

// "  LABEL …………  VALUE UNIT"
std::string estimate_line(const std::string& label, const std::string& value,
                          const std::string& unit);
std::string mib(double bytes);

// A section on the memory of a process, of which `together` run on a machine; with a warning where
// this machine has less.
std::string memory_text(const MemoryEstimate& memory, bool on_cpu, std::int64_t together);
nlohmann::ordered_json memory_json(const MemoryEstimate& memory, bool on_cpu);

// The whole of it, for --method moco_v3.
nlohmann::ordered_json estimate_moco(const PretrainOptions& options, const RunPlace& place,
                                     std::int64_t channels, std::int64_t images);

}  // namespace sgmae
