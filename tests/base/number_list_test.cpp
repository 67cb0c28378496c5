// Oracle: lists as they are written.
#include "sgmae/base/number_list.h"

#include <gtest/gtest.h>

#include <cstdint>

#include "tests/support/errors.h"

namespace sgmae {
namespace {

TEST(NumberList, HasNumbersBetweenCommas) {
  EXPECT_EQ(numbers_of<std::int64_t>("2,-5,8", "blocks"), (std::vector<std::int64_t>{2, -5, 8}));
  EXPECT_EQ(numbers_of<double>("0.5", "scales"), std::vector<double>{0.5});
  EXPECT_TRUE(numbers_of<double>("", "scales").empty());
}

TEST(NumberList, RefusesAnythingElse) {
  for (const char* list : {"1,,2", "1;2", "1, 2", "a", ",", "1.5x"})
    EXPECT_NE(error_of(ExitCode::usage, [&] { numbers_of<std::int64_t>(list, "blocks"); })
                  .find("blocks is"),
              std::string::npos);
}

}  // namespace
}  // namespace sgmae
