#include "cli/program.h"

#include <fcntl.h>
#include <poll.h>
#include <torch/version.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <new>
#include <optional>
#include <stdexcept>
#include <system_error>

#include "cli/command.h"
#include "sgmae/base/file.h"
#include "sgmae/base/instruction_set.h"
#include "sgmae/base/version.h"
#include "sgmae/data/table_file.h"
#include "sgmae/image/codec_plugin.h"
#include "sgmae/parallel/process_group.h"

namespace sgmae {

namespace {

// Where the environment says that this is one of several processes, waits for the others.
void join(const Command& command, std::optional<Joined>& joined) {
  const LaunchOptions alone;
  const LaunchOptions& launch = command.launch ? *command.launch : alone;
  const Membership membership = launch.membership();
  check(command.launch || membership.size == 1, ExitCode::usage,
        "this command runs in one process, but this is one of ", membership.size,
        "; start it once, without torchrun, mpirun or srun");
  joined.emplace(membership, std::chrono::milliseconds(
                                 static_cast<std::int64_t>(1000 * launch.process_timeout)));
}

// torchrun shows what its processes leave in this file.
void tell_starter(const std::string& what) {
  const char* file = std::getenv("TORCHELASTIC_ERROR_FILE");
  if (!file) return;
  const nlohmann::json error{
      {"message",
       {{"message", what}, {"extraInfo", {{"timestamp", std::to_string(std::time(nullptr))}}}}}};
  std::ofstream(file) << error.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

int run(const CommandEntry& entry, const std::vector<std::string>& arguments) {
  instruction_set();  // an SGMAE_ISA that cannot be is said before anything is done
  Command command = entry.make();
  ParsedArguments parsed = parse_arguments(command, arguments);
  if (parsed.help) {
    std::cout << help_text(entry, command);
    return 0;
  }
  if (command.leading) {
    if (std::vector<std::string> all = command.leading(); !all.empty()) {
      all.insert(all.end(), arguments.begin(), arguments.end());
      command = entry.make();
      parsed = parse_arguments(command, all);
    }
  }
  std::optional<Joined> joined;
  const auto print = [&](const nlohmann::ordered_json& result) {
    if (parsed.json && processes().leads())  // paths need not be UTF-8, JSON must be
      std::cout << result.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)
                << std::endl;
  };
  try {
    join(command, joined);
    print(command.run(parsed.positional));
  } catch (const ReportedFailure& failure) {
    print(failure.report);
    throw;
  } catch (const Error& error) {
    tell_starter(error.what());
    if (error.code() == ExitCode::process_lost) throw;
    processes().leave(error.what());
    if (error.code() == ExitCode::interrupted && !processes().leads())  // all were, together
      throw SilentFailure{static_cast<int>(error.code())};
    throw;
  } catch (const std::exception& error) {
    tell_starter(error.what());
    processes().leave(error.what());
    throw;
  }
  return 0;
}

#ifdef __clang__
constexpr const char* compiler = __VERSION__;
#else
constexpr const char* compiler = "GCC " __VERSION__;
#endif

// The libraries that plug-ins bring, and what is not read for want of one.
std::string plugins_text() {
  std::vector<std::string> there, missing;
  std::string why;
  for (const PluginFormat& format : plugin_formats())
    if (const CodecPlugin* const plugin = codec_plugin(format.format, why))
      there.push_back(plugin->library);
    else
      missing.push_back(str(format.what, " (needs ", format.library, ")"));
  if (const TablePlugin* const plugin = table_plugin(why))
    there.push_back(plugin->library);
  else
    missing.push_back("Parquet (needs Apache Arrow: ./dev build --arrow)");
  const auto line = [](const char* begin, const std::vector<std::string>& entries) {
    std::string text;
    for (const std::string& entry : entries) text += (text.empty() ? begin : ", ") + entry;
    return text.empty() ? text : text + "\n";
  };
  return line("plug-ins ", there) + line("not read ", missing);
}

std::string version_text() {
  const std::string commit = build_commit;
  return str("sgmae ", version, "\n", commit.empty() ? "" : "commit " + commit + "\n", "LibTorch ",
             TORCH_VERSION, "\ninstructions ", name_of(instruction_set()), " (the processor has ",
             name_of(processor_instruction_set()), "; SGMAE_ISA names fewer)\ncompiler ", compiler,
             "\n", plugins_text());
}

int main_of(const std::vector<std::string>& arguments) {
  if (arguments.empty()) {
    std::cerr << overview();
    return static_cast<int>(ExitCode::usage);
  }
  if (arguments[0] == "--version") {
    std::cout << version_text();
    return 0;
  }
  const bool help = arguments[0] == "--help" || arguments[0] == "-h";
  return run(command_named(help ? "help" : arguments[0]), {arguments.begin() + 1, arguments.end()});
}

// A file opened where standard output or error was closed would get their number, and our messages.
// What stands in for them cannot be written to, so that a result that is lost is noticed.
void occupy_standard_streams() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::fcntl(stream, F_GETFD) < 0) ::open("/dev/null", O_RDONLY);
}

// What was printed may still be on its way. Returns the exit code; that of a pipe whose reader left
// is what shells show for a process that SIGPIPE ended.
int finish_standard_output(int code) {
  std::cout.flush();
  if (std::cout.good()) return code;
  // The reason may be long forgotten; one more byte meets it again.
  const int error = ::write(STDOUT_FILENO, "\n", 1) < 0 ? errno : 0;
  struct pollfd output {
    .fd = STDOUT_FILENO, .events = POLLOUT, .revents = 0
  };
  if (::poll(&output, 1, 0) == 1 && (output.revents & POLLERR) != 0) return 128 + SIGPIPE;
  fail(code_of_failed_write(error), "cannot write to standard output: ",
       error != 0 ? std::strerror(error) : "some of it was lost");
}

int out_of_memory(const std::string& name) {
  std::fprintf(stderr, "%s: out of memory; lower batch_size or num_workers\n", name.c_str());
  return 1;
}

}  // namespace

int run_program(const std::vector<std::string>& arguments) {
  const std::string name = arguments.empty() ? "sgmae" : "sgmae " + arguments[0];
  occupy_standard_streams();
  // Errors of writing, not the end: a file that may not grow, a console that nobody reads.
  std::signal(SIGXFSZ, SIG_IGN);
  std::signal(SIGPIPE, SIG_IGN);
  try {
    return finish_standard_output(main_of(arguments));
  } catch (const SilentFailure& failure) {
    return failure.code;
  } catch (const Error& error) {
    std::fprintf(stderr, "%s: %s\n", name.c_str(), error.what());
    return static_cast<int>(error.code());
  } catch (const std::bad_alloc&) {
    return out_of_memory(name);
  } catch (const std::length_error&) {  // more than any memory holds
    return out_of_memory(name);
  } catch (const std::filesystem::filesystem_error& error) {
    std::fprintf(stderr, "%s: %s\n", name.c_str(), error.what());
    return static_cast<int>(code_of_failed_write(error.code().value()));
  } catch (const std::system_error& error) {  // of threads and the like
    std::fprintf(stderr, "%s: the system refused: %s\n", name.c_str(), error.what());
    return 1;
  } catch (const std::exception& error) {
    const std::string message = error.what();
    // LibTorch's own bad_alloc, on the CPU, in oneDNN and on a GPU, and for what no memory holds.
    for (const char* words :
         {"can't allocate memory", "could not create a primitive", "CUDA out of memory",
          "Storage size calculation overflowed", "multiplication overflow"})
      if (message.find(words) != std::string::npos) return out_of_memory(name);
    // The first line; LibTorch lists the callers behind it.
    std::fprintf(stderr, "%s: this is a bug of sgmae, please report it: %s\n", name.c_str(),
                 message.substr(0, message.find('\n')).c_str());
    return 70;
  }
}

}  // namespace sgmae
