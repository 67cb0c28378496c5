#include "sgmae/parallel/process_group.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <arpa/inet.h>
#include <c10/util/Logging.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <csignal>
#include <cstring>
#include <exception>
#include <filesystem>
#include <future>
#include <iterator>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <thread>
#include <torch/csrc/distributed/c10d/FileStore.hpp>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <utility>

#include "sgmae/base/error.h"
#include "sgmae/base/host.h"
#include "sgmae/base/log.h"
#include "sgmae/base/signals.h"
#include "sgmae/parallel/shard.h"

namespace sgmae {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

// How often a process shows the others that it is alive.
constexpr milliseconds heartbeat(500);
using Stores = c10::intrusive_ptr<c10d::Store>;

// The host and port of tcp://HOST:PORT.
std::pair<std::string, int> address_of(const std::string& meeting) {
  const std::string rest = meeting.substr(std::strlen("tcp://"));
  const std::size_t colon = rest.rfind(':');
  const int port = colon == std::string::npos ? 0 : std::atoi(rest.c_str() + colon + 1);
  check(port >= 1 && port <= 65535, ExitCode::usage, "'", meeting,
        "' does not say where processes meet; write tcp://HOST:PORT");
  std::string host = rest.substr(0, colon);
  if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
  return {host, port};
}

std::string first_line(const std::exception& error) {
  const std::string text = error.what();
  return text.substr(0, text.find('\n'));
}

Stores open_store(const Membership& membership, milliseconds timeout) {
  FLAGS_caffe2_log_level = std::max(FLAGS_caffe2_log_level, 3);  // what it logs, we tell better
  Stores store;
  if (membership.meeting.starts_with("file://")) {
    store = c10::make_intrusive<c10d::FileStore>(membership.meeting.substr(std::strlen("file://")),
                                                 membership.size);
  } else {
    const auto [host, port] = address_of(membership.meeting);
    c10d::TCPStoreOptions options;
    options.port = static_cast<std::uint16_t>(port);
    options.isServer = membership.rank == 0 && !membership.served_by_agent;
    options.waitWorkers = false;
    options.timeout = timeout;
    try {
      store = c10::make_intrusive<c10d::TCPStore>(host, options);
    } catch (const std::exception& error) {
      fail(ExitCode::process_lost, "process ", membership.rank, " of ", membership.size,
           options.isServer ? " cannot serve as the meeting place " : " cannot reach process 0 at ",
           host, ":", port, ": ", first_line(error),
           options.isServer ? "; another job may use that port: set MASTER_PORT" : "");
    }
  }
  store->setTimeout(timeout);
  return c10::make_intrusive<c10d::PrefixStore>("sgmae/" + membership.attempt, store);
}

std::string text_of(const sockaddr* address) {
  char text[INET6_ADDRSTRLEN] = "";
  const bool v6 = address->sa_family == AF_INET6;
  const void* number =
      v6 ? static_cast<const void*>(&reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr)
         : static_cast<const void*>(&reinterpret_cast<const sockaddr_in*>(address)->sin_addr);
  ::inet_ntop(address->sa_family, number, text, sizeof text);
  return text;
}

bool is_loopback(const std::string& address) {
  return address.starts_with("127.") || address == "::1";
}

// The address of ours from which packets to `host` leave; "" where there is no way.
std::string address_towards(const std::string& host, int port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_DGRAM;  // connecting sends nothing
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) return "";
  std::string own;
  for (const addrinfo* one = found; one && own.empty(); one = one->ai_next) {
    const int socket = ::socket(one->ai_family, SOCK_DGRAM, 0);
    if (socket < 0) continue;
    sockaddr_storage address{};
    socklen_t length = sizeof address;
    if (::connect(socket, one->ai_addr, one->ai_addrlen) == 0 &&
        ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &length) == 0)
      own = text_of(reinterpret_cast<sockaddr*>(&address));
    ::close(socket);
  }
  ::freeaddrinfo(found);
  return own;
}

// Any address of ours that other hosts may reach.
std::string outside_address() {
  ifaddrs* all = nullptr;
  if (::getifaddrs(&all) != 0) return "";
  std::string address;
  for (const ifaddrs* one = all; one && address.empty(); one = one->ifa_next)
    if (one->ifa_addr && one->ifa_addr->sa_family == AF_INET && (one->ifa_flags & IFF_UP) &&
        !(one->ifa_flags & IFF_LOOPBACK))
      address = text_of(one->ifa_addr);
  ::freeifaddrs(all);
  return address;
}

// Where this process listens to the others. A host's own name often means its loopback to itself,
// which others cannot reach.
std::shared_ptr<::gloo::transport::Device> open_device(const Membership& membership,
                                                       bool one_host) {
  using Gloo = c10d::ProcessGroupGloo;
  if (const char* interface = std::getenv("GLOO_SOCKET_IFNAME"))
    return Gloo::createDeviceForInterface(interface);
  if (one_host) return Gloo::createDeviceForHostname("127.0.0.1");
  std::string address;
  if (membership.meeting.starts_with("tcp://")) {
    const auto [host, port] = address_of(membership.meeting);
    address = address_towards(host, port);
  }
  if (address.empty() || is_loopback(address)) address = outside_address();
  check(!address.empty(), ExitCode::process_lost, "process ", membership.rank,
        " has no network address that the other hosts could reach; set GLOO_SOCKET_IFNAME to the "
        "interface");
  return Gloo::createDeviceForHostname(address);
}

// The processors that this process may run on, as text that is the same for those that share them.
std::string own_processors(int& count) {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) != 0) {
    count = std::max(1u, std::thread::hardware_concurrency());
    return "all";
  }
  count = CPU_COUNT(&set);
  std::string text;
  for (int i = 0; i < CPU_SETSIZE; ++i)
    if (CPU_ISSET(i, &set)) text += str(i, ",");
  return text;
}

std::set<int> open_sockets() {
  std::set<int> sockets;
  for (const auto& file : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;  // the folder's own
    if (std::filesystem::is_socket(file.path(), gone))
      sockets.insert(std::atoi(file.path().filename().c_str()));
  }
  return sockets;
}

// What processes tell each other outside of collectives, by name, through c10d's store. It lives in
// process 0 or in torchrun, and a call of it blocks for as long as that does not answer.
struct Board {
  Membership membership;
  milliseconds timeout;
  Stores store;
  std::vector<nlohmann::json> members;  // what each says of itself, by rank

  std::mutex mutex;
  std::condition_variable wake;
  bool ending = false, heart_stopped = true;
  std::atomic<bool> alarm = false;  // somebody has left, or knows of one who is lost

  bool is_served_here() const { return membership.rank == 0 && !membership.served_by_agent; }

  void write(const char* what, int rank, const std::string& text = "yes") const {
    store->set(str(what, "/", rank), text);
  }
  void write(const char* what, const std::string& text = "yes") const {
    write(what, membership.rank, text);
  }
  bool has(const char* what, int rank) const { return store->check({str(what, "/", rank)}); }
  std::string read(const char* what, int rank) const {
    const std::vector<std::uint8_t> bytes = store->get(str(what, "/", rank));
    return {bytes.begin(), bytes.end()};
  }

  // Waits until every rank has written `what`; returns the ranks that have not, when time is up.
  std::vector<int> missing(const char* what, milliseconds limit) const {
    const auto begun = Clock::now();
    while (true) {
      std::vector<int> absent;
      for (int rank = 0; rank < membership.size; ++rank)
        if (!has(what, rank)) absent.push_back(rank);
      if (absent.empty() || Clock::now() - begun > limit) return absent;
      std::this_thread::sleep_for(milliseconds(20));
    }
  }

  std::string name(int rank) const {
    if (members.empty()) return str("process ", rank);
    const nlohmann::json& member = members[static_cast<std::size_t>(rank)];
    return str("process ", rank, " (", member.at("id").get<int>(), " on ",
               member.at("host").get<std::string>(), ")");
  }
  bool on_one_machine() const {
    return std::all_of(members.begin(), members.end(), [&](const auto& other) {
      return other.at("host") == members.front().at("host");
    });
  }
  std::string names(const std::vector<int>& ranks) const {
    std::string text;
    for (const int rank : ranks) text += (text.empty() ? "" : ", ") + name(rank);
    return text;
  }

  void meet() {
    store = open_store(membership, timeout);
    int count = 0;
    const nlohmann::json self{
        {"host", host_name()}, {"id", ::getpid()}, {"processors", own_processors(count)}};
    write("beat", "-");
    write("came", self.dump());
    const std::vector<int> absent = missing("came", timeout);
    check(absent.empty(), ExitCode::process_lost, "waited ", timeout.count() / 1000,
          " seconds in vain for ", names(absent), " of ", membership.size);
    std::vector<nlohmann::json> all;
    for (int rank = 0; rank < membership.size; ++rank)
      all.push_back(nlohmann::json::parse(read("came", rank)));
    members = std::move(all);
  }

  // Shows the others now and then that this process is alive, and looks for news of them.
  void beat() {
    std::unique_lock lock(mutex);
    for (std::int64_t count = 0; !ending; ++count) {
      lock.unlock();
      try {
        write("beat", std::to_string(count));
        if (store->check({"alarm"})) alarm = true;
      } catch (const std::exception&) {  // a collective will fail, and say so
        lock.lock();
        break;
      }
      lock.lock();
      wake.wait_for(lock, heartbeat, [&] { return ending; });
    }
    heart_stopped = true;
    wake.notify_all();
  }

  // Ranks that showed no sign of life for a while, but for those who said good-bye.
  std::vector<int> without_heartbeat() const {
    const auto beats = [&] {
      std::vector<std::string> all;
      for (int rank = 0; rank < membership.size; ++rank) all.push_back(read("beat", rank));
      return all;
    };
    const std::vector<std::string> before = beats();
    std::this_thread::sleep_for(2 * heartbeat + heartbeat / 2);
    const std::vector<std::string> after = beats();
    std::vector<int> silent;
    for (int rank = 0; rank < membership.size; ++rank) {
      const auto at = static_cast<std::size_t>(rank);
      if (rank != membership.rank && before[at] == after[at] && !has("departed", rank))
        silent.push_back(rank);
    }
    return silent;
  }

  std::string reason_of_one_who_left() const {
    for (int rank = 0; rank < membership.size; ++rank)
      if (has("left", rank)) return str(name(rank), " ended: ", read("left", rank));
    return "";
  }

  // Why a collective failed: those who left gave a reason, of the others those are named whose
  // heart does not beat, or who do not take part.
  std::string diagnosis() const {
    store->set("alarm", std::string("yes"));
    write("here");
    if (has("blamed", membership.rank))
      return "the others did not hear from it for too long, and have ended";
    if (const std::string reason = reason_of_one_who_left(); !reason.empty()) return reason;
    const std::vector<int> silent = without_heartbeat();
    if (const std::string reason = reason_of_one_who_left(); !reason.empty()) return reason;
    for (const int rank : silent) write("blamed", rank);
    if (!silent.empty())
      return str(names(silent), silent.size() == 1 ? " was killed, or does not answer"
                                                   : " were killed, or do not answer");
    if (const std::vector<int> absent = missing("here", 2 * heartbeat); !absent.empty())
      return str("in ", timeout.count() / 1000, " seconds there was nothing from ", names(absent),
                 ", though still running");
    return "";
  }

  // Leaves a board that is served here to whoever still lives and wants to read it.
  void depart() const {
    write("departed");
    if (!is_served_here()) return;
    for (const auto begun = Clock::now(); Clock::now() - begun < timeout;) {
      std::vector<int> remain = missing("departed", heartbeat / 4);
      if (remain.empty()) return;
      const std::vector<int> silent = without_heartbeat();
      remain = missing("departed", milliseconds(0));
      if (std::includes(silent.begin(), silent.end(), remain.begin(), remain.end())) return;
    }
  }
};

// Does `work`, which may block for ever, for as long as `limit`. Whether it came to an end.
bool within(milliseconds limit, std::function<void()> work) {
  auto done = std::make_shared<std::promise<void>>();
  std::future<void> end = done->get_future();
  std::thread([done, work = std::move(work)] {
    work();
    done->set_value();
  }).detach();
  return end.wait_for(limit) == std::future_status::ready;
}

}  // namespace

struct ProcessGroup::Exchange {
  std::shared_ptr<Board> board = std::make_shared<Board>();
  c10::intrusive_ptr<c10d::ProcessGroupGloo> gloo;
  std::set<int> other_sockets;   // than Gloo's, which were before it
  std::vector<int> own_sockets;  // Gloo's, of which some may have closed since
  struct OnDevice {
    at::Device device;
    std::shared_ptr<DeviceExchange> exchange;
  };
  std::optional<OnDevice> on_device;  // without: all goes by Gloo

  bool meets_on(at::Device device) const { return on_device && on_device->device == device; }

  // Runs a call of the exchange. Where it fails, somebody else is the reason.
  template <class Call>
  auto guarded(const Call& call) {
    try {
      return call();
    } catch (const Error&) {
      throw;
    } catch (const std::exception& error) {
      explain(first_line(error));
    }
  }

  Exchange(const Membership& membership, milliseconds timeout) {
    board->membership = membership;
    board->timeout = timeout;
    try {
      board->meet();
      board->heart_stopped = false;
      std::thread([board = board] { board->beat(); }).detach();
      guarded([&] { connect(); });
    } catch (const Error&) {
      stop_heart();
      throw;
    } catch (const std::exception& error) {
      fail(ExitCode::process_lost, "process ", membership.rank, " of ", membership.size,
           " could not join the others at ", membership.meeting, ": ", first_line(error));
    }
  }

  ~Exchange() {
    on_device.reset();
    gloo.reset();
    stop_heart();
  }

  void stop_heart() {
    std::unique_lock lock(board->mutex);
    board->ending = true;
    board->wake.notify_all();
    // A heart that waits for a board that does not answer is left to it.
    board->wake.wait_for(lock, 2 * heartbeat, [&] { return board->heart_stopped; });
  }

  // Processors for each of those that share them with this process.
  int share_of_processors() const {
    int count = 0;
    own_processors(count);
    const auto& all = board->members;
    const auto& self = all[static_cast<std::size_t>(board->membership.rank)];
    const auto sharing = std::count_if(all.begin(), all.end(), [&](const auto& other) {
      return other.at("host") == self.at("host") && other.at("processors") == self.at("processors");
    });
    return std::max(1, count / static_cast<int>(sharing));
  }

  void connect() {
    auto options = c10d::ProcessGroupGloo::Options::create(board->timeout);
    options->devices.push_back(open_device(board->membership, board->on_one_machine()));
    other_sockets = open_sockets();
    gloo = c10::make_intrusive<c10d::ProcessGroupGloo>(board->store, board->membership.rank,
                                                       board->membership.size, options);
    own_sockets = later_sockets();
  }

  // Those that are open now and were not before Gloo.
  std::vector<int> later_sockets() const {
    const std::set<int> all = open_sockets();
    std::vector<int> later;
    std::set_difference(all.begin(), all.end(), other_sockets.begin(), other_sockets.end(),
                        std::back_inserter(later));
    return later;
  }

  // Gloo waits for those who do not hear that one of them is lost until time is up.
  void finish(c10d::Work& work) {
    while (!work.isCompleted()) {
      try {
        work.wait(heartbeat);
      } catch (const std::exception&) {
        if (work.isCompleted()) break;
        if (board->alarm) throw std::runtime_error("another process is lost");
      }
    }
    work.wait();
  }

  // A device waits for ever for one whose process is lost. Gloo's connections tell, if asked.
  void finish(const DeviceExchange::Done& done) {
    const auto begun = Clock::now();
    for (auto looked = begun; !done();) {
      if (board->alarm) throw std::runtime_error("another process is lost");
      const auto now = Clock::now();
      if (now - begun > board->timeout)
        throw std::runtime_error("the devices did not come to an end with each other");
      if (now - looked > heartbeat) {
        if (has_lost_a_connection() && !board->without_heartbeat().empty())
          throw std::runtime_error("another process shows no sign of life");
        looked = Clock::now();
      }
      std::this_thread::sleep_for(std::chrono::microseconds(20));
    }
  }

  bool has_lost_a_connection() const {
    std::vector<pollfd> all;
    for (const int socket : own_sockets) all.push_back({socket, POLLRDHUP, 0});
    ::poll(all.data(), all.size(), /*timeout=*/0);
    return std::any_of(all.begin(), all.end(), [](const pollfd& one) { return one.revents != 0; });
  }

  // Blocks until all have come, but not for ever.
  std::shared_ptr<DeviceExchange> join(const DeviceExchangeApi& api, const std::string& meeting,
                                       at::Device device) {
    std::promise<std::shared_ptr<DeviceExchange>> promise;
    std::shared_future joined(promise.get_future());
    std::thread([promise = std::move(promise), &api, meeting, self = board->membership,
                 device]() mutable {
      try {
        promise.set_value(api.join(meeting, self.rank, self.size, device));
      } catch (...) {
        promise.set_exception(std::current_exception());
      }
    }).detach();
    guarded([&] {
      finish([&] { return joined.wait_for(milliseconds(0)) == std::future_status::ready; });
    });
    return joined.get();
  }

  [[noreturn]] void explain(const std::string& symptom) {
    hang_up();
    const Membership& self = board->membership;
    const auto found = std::make_shared<std::string>();
    const bool answered = within(board_patience(), [board = board, found] {
      try {
        board->store->setTimeout(3 * heartbeat);
        *found = board->diagnosis();
        board->depart();
      } catch (const std::exception&) {  // the board went with the process that served it
        if (found->empty()) *found = board_is_gone(*board);
      }
    });
    fail(ExitCode::process_lost, "process ", self.rank, " gave up: ",
         !answered        ? board_is_gone(*board)
         : found->empty() ? str("the connection between processes broke: ", symptom)
                          : *found);
  }

  void leave(const std::string& reason) {
    hang_up();
    within(board_patience(), [board = board, reason] {
      try {
        board->store->setTimeout(3 * heartbeat);
        board->write("left", reason);
        board->store->set("alarm", std::string("yes"));
        board->depart();
      } catch (const std::exception&) {  // nobody is left to be told
      }
    });
  }

 private:
  // So that those who wait for this process hear of it at once. c10d has no call for that, and what
  // is under way keeps connections open.
  void hang_up() {
    if (on_device) on_device->exchange->abort();
    for (const int socket : later_sockets()) ::shutdown(socket, SHUT_RDWR);
    gloo.release();  // its destructor would wait for what is under way
  }

  // Where the board is served here it answers, and others may need it for long.
  milliseconds board_patience() const {
    return board->is_served_here() ? board->timeout + 20 * heartbeat : 10 * heartbeat;
  }
  static std::string board_is_gone(const Board& board) {
    return board.membership.served_by_agent ? "the meeting place that torchrun serves is gone"
                                            : board.name(0) + " has ended, or does not answer";
  }
};

ProcessGroup::ProcessGroup() : processors_(std::max(1u, std::thread::hardware_concurrency())) {}

ProcessGroup::ProcessGroup(const Membership& membership, milliseconds timeout) : ProcessGroup() {
  membership_ = membership;
  if (membership.size == 1) return;
  exchange_ = std::make_unique<Exchange>(membership, timeout);
  processors_ = exchange_->share_of_processors();
}

ProcessGroup::~ProcessGroup() = default;
ProcessGroup::ProcessGroup(ProcessGroup&&) noexcept = default;
ProcessGroup& ProcessGroup::operator=(ProcessGroup&&) noexcept = default;

bool ProcessGroup::on_one_machine() const {
  return !exchange_ || exchange_->board->on_one_machine();
}

std::string ProcessGroup::name(int rank) const {
  return exchange_ ? exchange_->board->name(rank) : "process 0";
}

void ProcessGroup::sum(const at::Tensor& tensor) {
  begin_sum(tensor)();
}

void ProcessGroup::meet_on(at::Device device) {
  if (!exchange_) return;
  std::string why;
  const DeviceExchangeApi* const api = open_device_exchange(device, why);
  meet_on(device, api, why);
}

void ProcessGroup::meet_on(at::Device device, const DeviceExchangeApi* api,
                           const std::string& why) {
  if (!exchange_ || exchange_->meets_on(device)) return;
  std::string missing = membership_.gpus_meet ? (api ? "" : why) : "dist_backend is gloo", meeting;
  const auto open = [&](const auto& call) {
    try {
      return call();
    } catch (const Error&) {
      throw;
    } catch (const std::exception& error) {
      fail(ExitCode::usage, device, " and the others do not come together: ", first_line(error),
           "; --dist_backend gloo exchanges through the memory of the machines");
    }
  };
  const std::vector<std::string> all = gather(missing);
  for (int rank = 0; rank < size(); ++rank) {
    const std::string& one = all[static_cast<std::size_t>(rank)];
    if (one.empty()) continue;
    if (membership_.gpus_meet && !device.is_cpu())
      info("GPUs exchange gradients through the memory of their machines, which is slower: ", one,
           rank == this->rank() ? "" : str(" (", name(rank), ")"));
    return;
  }
  leader([&] { meeting = open(api->new_meeting); });
  meeting = of_leader(meeting);
  exchange_->on_device = {device, open([&] { return exchange_->join(*api, meeting, device); })};
}

at::Device ProcessGroup::meeting_place(at::Device device) const {
  return exchange_ && exchange_->meets_on(device) ? device : at::kCPU;
}

// Starts a collective; the result waits for it.
template <class There, class Here>
std::function<void()> ProcessGroup::start(const at::Tensor& tensor, const There& on_device,
                                          const Here& on_cpu) {
  if (!exchange_) return [] {};
  if (!tensor.is_cpu()) {
    SGMAE_ASSERT(exchange_->meets_on(tensor.device()));
    auto done = exchange_->guarded([&] { return on_device(*exchange_->on_device->exchange); });
    return [this, done] { exchange_->guarded([&] { exchange_->finish(done); }); };
  }
  std::vector<at::Tensor> tensors{tensor};
  auto work = exchange_->guarded([&] { return on_cpu(*exchange_->gloo, tensors); });
  return [this, work] { exchange_->guarded([&] { exchange_->finish(*work); }); };
}

std::function<void()> ProcessGroup::begin_sum(const at::Tensor& tensor) {
  return start(
      tensor, [&](auto& device) { return device.sum(tensor); },
      [](auto& gloo, auto& tensors) { return gloo.allreduce(tensors); });
}

std::function<void()> ProcessGroup::begin_sum_in(int owner, const at::Tensor& tensor) {
  return start(
      tensor, [&](auto& device) { return device.sum_in(owner, tensor); },
      [&](auto& gloo, auto& tensors) { return gloo.reduce(tensors, {.rootRank = owner}); });
}

std::function<void()> ProcessGroup::begin_copy(int from, const at::Tensor& tensor) {
  return start(
      tensor, [&](auto& device) { return device.copy(from, tensor); },
      [&](auto& gloo, auto& tensors) { return gloo.broadcast(tensors, {.rootRank = from}); });
}

double ProcessGroup::sum(double value) {
  const at::Tensor total = at::full({1}, value, at::kDouble);
  sum(total);
  return total.item<double>();
}

std::vector<at::Tensor> ProcessGroup::gather(const at::Tensor& part) {
  if (!exchange_) return {part};
  const auto equal = [&](const at::Tensor& mine) {
    std::vector<at::Tensor> input{mine};
    std::vector<std::vector<at::Tensor>> output(1);
    for (int rank = 0; rank < size(); ++rank) output[0].push_back(at::empty_like(mine));
    exchange_->guarded([&] { exchange_->finish(*exchange_->gloo->allgather(output, input)); });
    return output[0];
  };
  const std::vector<at::Tensor> counts = equal(at::full({1}, part.size(0), at::kLong));
  std::int64_t most = 0;
  for (const at::Tensor& count : counts) most = std::max(most, count.item<std::int64_t>());
  std::vector<std::int64_t> shape = part.sizes().vec();
  shape[0] = most;
  const at::Tensor padded = at::zeros(shape, part.options());
  padded.narrow(0, 0, part.size(0)).copy_(part);
  std::vector<at::Tensor> parts;
  if (padded.numel() == 0) return std::vector<at::Tensor>(static_cast<std::size_t>(size()), part);
  parts = equal(padded);
  for (std::size_t rank = 0; rank < parts.size(); ++rank)
    parts[rank] = parts[rank].narrow(0, 0, counts[rank].item<std::int64_t>());
  return parts;
}

at::Tensor ProcessGroup::gather_shards(const at::Tensor& own, std::int64_t count) {
  if (!exchange_) return own;
  constexpr std::int64_t most_at_once = 4 << 20;  // numbers; all parts of a round have one size
  at::Tensor whole;
  if (leads()) whole = at::empty({count}, own.options());
  std::int64_t longest = 0;
  for (int rank = 0; rank < size(); ++rank)
    longest = std::max(longest, shard_of(count, rank, size()).size());
  const auto piece = [&](std::int64_t begin, const at::Tensor& shard) {
    const std::int64_t left = std::max<std::int64_t>(0, shard.numel() - begin);
    return shard.narrow(0, std::min(begin, shard.numel()), std::min(left, most_at_once));
  };
  for (std::int64_t begin = 0; begin < longest; begin += most_at_once) {
    const at::Tensor sent = at::zeros({std::min(most_at_once, longest - begin)}, own.options());
    const at::Tensor mine = piece(begin, own);
    sent.narrow(0, 0, mine.numel()).copy_(mine);
    std::vector<at::Tensor> input{sent};
    std::vector<std::vector<at::Tensor>> output;
    if (leads()) {
      output.emplace_back();
      for (int rank = 0; rank < size(); ++rank) output[0].push_back(at::empty_like(sent));
    }
    exchange_->guarded([&] { exchange_->finish(*exchange_->gloo->gather(output, input)); });
    for (int rank = 0; leads() && rank < size(); ++rank) {
      const Shard shard = shard_of(count, rank, size());
      const at::Tensor to = piece(begin, whole.narrow(0, shard.begin, shard.size()));
      to.copy_(output[0][static_cast<std::size_t>(rank)].narrow(0, 0, to.numel()));
    }
  }
  return whole;
}

std::vector<std::string> ProcessGroup::gather(const std::string& part) {
  const at::Tensor bytes = at::empty({static_cast<std::int64_t>(part.size())}, at::kByte);
  if (!part.empty()) std::memcpy(bytes.mutable_data_ptr(), part.data(), part.size());
  std::vector<std::string> texts;
  for (const at::Tensor& one : gather(bytes))
    texts.emplace_back(static_cast<const char*>(one.const_data_ptr()),
                       static_cast<std::size_t>(one.numel()));
  return texts;
}

std::string ProcessGroup::of_leader(const std::string& text) {
  return exchange_ ? gather(leads() ? text : std::string()).front() : text;
}

void ProcessGroup::wait_for_all() {
  sum(0);
}

void ProcessGroup::together(const std::function<void()>& work) {
  if (!exchange_) return work();
  constexpr const char* stopped = "stop";
  std::string told;
  std::exception_ptr own;
  try {
    work();
  } catch (const Error& error) {
    if (error.code() == ExitCode::process_lost) throw;
    told = nlohmann::json{{"code", static_cast<int>(error.code())}, {"text", error.what()}}.dump(
        -1, ' ', false, nlohmann::json::error_handler_t::replace);
    own = std::current_exception();
  } catch (const StopRequested&) {
    told = stopped;
    own = std::current_exception();
  }
  const std::vector<std::string> all = gather(told);
  for (int rank = 0; rank < size(); ++rank) {
    const std::string& one = all[static_cast<std::size_t>(rank)];
    if (one.empty() || one == stopped) continue;
    if (rank == this->rank()) std::rethrow_exception(own);
    const auto error = nlohmann::json::parse(one);
    fail(static_cast<ExitCode>(error.at("code").get<int>()), name(rank), ": ",
         error.at("text").get<std::string>());
  }
  if (std::find(all.begin(), all.end(), stopped) != all.end()) throw StopRequested();
}

void ProcessGroup::leader(const std::function<void()>& work) {
  together([&] {
    if (leads()) work();
  });
}

void ProcessGroup::leave(const std::string& reason) {
  if (exchange_) exchange_->leave(reason);
}

namespace {

ProcessGroup& group() {
  static ProcessGroup group;
  return group;
}

}  // namespace

ProcessGroup& processes() {
  return group();
}

Joined::Joined(const Membership& membership, milliseconds timeout) {
  // A connection that breaks is an error of the call that uses it, not the end.
  if (membership.size > 1) std::signal(SIGPIPE, SIG_IGN);
  group() = ProcessGroup(membership, timeout);
  if (!group().leads()) set_log_speaker(str("process ", group().rank()));
  answer_stop_signals(group().leads());
}

Joined::~Joined() {
  group() = ProcessGroup();
  set_log_speaker("");
  answer_stop_signals(true);
}

}  // namespace sgmae
