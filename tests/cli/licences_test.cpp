// Oracle: what CMake links (cmake/parts.txt must not forget any), and the format's required fields.
#include "cli/licences.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "tests/support/program.h"

namespace sgmae {
namespace {

TEST(Licences, NameWhatIsLinkedWithItsVersion) {
  std::set<std::string> packages;
  for (const Part& part : parts()) {
    packages.insert(part.package);
    EXPECT_FALSE(part.version.empty() || part.licence.empty() || part.how.empty()) << part.name;
  }
  for (const char* package :
       {"torch", "libjpeg62-turbo-dev", "libpng-dev", "libwebp-dev", "libtiff-dev", "libgif-dev",
        "libzstd-dev", "libdeflate-dev", "zlib1g-dev", "libpugixml-dev", "libyaml-cpp-dev",
        "libfreetype-dev", "libbrotli-dev", "fonts-dejavu-core"})
    EXPECT_TRUE(packages.contains(package)) << package;
}

TEST(Licences, AreABillOfMaterials) {
  const Outcome run = run_program_in(".", "licences --json");
  ASSERT_EQ(run.code, 0) << run.err;
  const auto bill = nlohmann::json::parse(run.out.substr(run.out.rfind("\n{") + 1));
  EXPECT_EQ(bill["bomFormat"], "CycloneDX");
  ASSERT_EQ(bill["components"].size(), parts().size());
  for (const auto& component : bill["components"])
    EXPECT_TRUE(component["purl"].get<std::string>().starts_with("pkg:")) << component;
}

}  // namespace
}  // namespace sgmae
