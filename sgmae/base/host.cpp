#include "sgmae/base/host.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>

namespace sgmae {

std::string host_name() {
  char name[256] = "";
  ::gethostname(name, sizeof name - 1);
  return name;
}

HostMemory host_memory() {
  HostMemory memory;
  std::ifstream table("/proc/meminfo");  // "MemTotal:       24063208 kB"
  std::int64_t kib = 0;
  for (std::string name, unit; table >> name >> kib && std::getline(table, unit);) {
    if (name == "MemTotal:") memory.total = kib * 1024;
    if (name == "MemAvailable:") memory.available = kib * 1024;
  }
  // What a container is allowed; the file says "max" where that is all.
  std::int64_t allowed = 0;
  if (std::ifstream("/sys/fs/cgroup/memory.max") >> allowed && allowed > 0)
    memory.total = std::min(memory.total, allowed);
  memory.available = std::min(memory.available, memory.total);
  return memory;
}

}  // namespace sgmae
