// Oracle: there is no such library.
#include "sgmae/base/plugin.h"

#include <gtest/gtest.h>

namespace sgmae {
namespace {

TEST(Plugin, AMissingOneIsNamed) {
  std::string why;
  EXPECT_EQ(open_plugin("that_nobody_wrote", "anything", why), nullptr);
  EXPECT_NE(why.find("libsgmae_that_nobody_wrote.so"), std::string::npos) << why;
}

}  // namespace
}  // namespace sgmae
