#include "sgmae/parallel/common_memory.h"

#include <ATen/ops/from_blob.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <random>
#include <string>

#include "sgmae/base/error.h"
#include "sgmae/parallel/process_group.h"

namespace sgmae {
namespace {

// A file of memory without a name in any folder; closed, it lives on where it is mapped.
struct MemoryFile {
  int descriptor = -1;

  explicit MemoryFile(int opened) : descriptor(opened) {}
  ~MemoryFile() {
    if (descriptor >= 0) ::close(descriptor);
  }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  // Undefined where the system refuses.
  at::Tensor map(std::int64_t values) const {
    const auto bytes = static_cast<std::size_t>(values) * sizeof(float);
    void* const memory =
        descriptor < 0 ? MAP_FAILED
                       : ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (memory == MAP_FAILED) return {};
    return at::from_blob(
        memory, {values}, [bytes](void* mapped) { ::munmap(mapped, bytes); },
        at::TensorOptions(at::kFloat));
  }
};

std::string link_of(const std::string& path) {
  std::array<char, 256> text{};
  const ssize_t length = ::readlink(path.c_str(), text.data(), text.size());
  return {text.data(), static_cast<std::size_t>(std::max<ssize_t>(0, length))};
}

// Another process's file. A process of that number that is not the one meant (in another
// container) has none of that name.
int open_of(const nlohmann::json& member) {
  const std::string path =
      str("/proc/", member.at("process").get<int>(), "/fd/", member.at("descriptor").get<int>());
  if (link_of(path).find(member.at("name").get<std::string>()) == std::string::npos) return -1;
  return ::open(path.c_str(), O_RDWR | O_CLOEXEC);
}

}  // namespace

std::vector<at::Tensor> common_memory(std::int64_t values) {
  SGMAE_ASSERT(values > 0);
  std::random_device random;
  const std::string name = str("sgmae-", random(), "-", random());
  const MemoryFile own(::memfd_create(name.c_str(), MFD_CLOEXEC));
  bool possible =
      own.descriptor >= 0 &&
      ::ftruncate(own.descriptor, values * static_cast<std::int64_t>(sizeof(float))) == 0;
  possible &= processes().on_one_machine();
  const nlohmann::json self{
      {"process", ::getpid()}, {"descriptor", own.descriptor}, {"name", name}};
  std::vector<at::Tensor> all;
  for (const std::string& text : processes().gather(self.dump())) {
    const nlohmann::json member = nlohmann::json::parse(text);
    all.push_back(possible ? MemoryFile(open_of(member)).map(values) : at::Tensor());
    possible &= all.back().defined();
  }
  // Nobody closes its file before all have opened it.
  const double refusals = processes().sum(possible ? 0 : 1);
  return refusals > 0 ? std::vector<at::Tensor>() : all;
}

}  // namespace sgmae
