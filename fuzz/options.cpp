// Configuration files: TOML and the values of options (base/options.h).
// seeds: recipes/*.toml
#include "sgmae/base/options.h"

#include <string>

#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sgmae;
  return try_to(ExitCode::usage, [&] {
    Options options;
    std::string data_path;
    bool norm_pix_loss = true;
    int epochs = 1;
    std::int64_t steps = 1;
    std::uint64_t seed = 0;
    double mask_ratio = 0.75;
    enum class Strategy { random, guided } strategy = Strategy::random;
    options.section("data");
    options.add("data_path", data_path, "text");
    options.add("steps", steps, "integer");
    options.section("model");
    options.add("norm_pix_loss", norm_pix_loss, "flag");
    options.add("mask_ratio", mask_ratio, "number");
    options.section("optim");
    options.add("epochs", epochs, "integer");
    options.add("seed", seed, "integer");
    options.add("mask_strategy", strategy,
                {{"random", Strategy::random}, {"self_guided", Strategy::guided}}, "choice");
    options.load_toml({reinterpret_cast<const char*>(data), size}, "fuzz.toml");
    // What was accepted is printed as TOML that is accepted.
    Options again = options;
    try {
      again.load_toml(options.to_toml(), "printed.toml");
    } catch (const Error&) {
      std::abort();
    }
  });
}
