#include <gtest/gtest.h>

#include "vlalign/core/error.hpp"
#include "vlalign/loss/info_nce.hpp"
#include "vlalign/testing/violation.hpp"

namespace vlalign::violation_arguments_test {
namespace {

using namespace kit;

TEST(FindViolation, RefusesAPropertyThatIsNone) {
  for (const int number : {-1, 19, 1000}) {
    const auto none = static_cast<Property>(number);
    EXPECT_THROW(to_string(none), Error);
    EXPECT_THROW(find_violation(none, InfoNCE()), Error);
  }
}

TEST(FindViolation, RefusesAClaimThatLeavesNothingToTry) {
  for (const std::int64_t size : {0, -1, 9, 1'000'000'000})
    EXPECT_THROW(find_violation(Property::purity, InfoNCE(), {.smallest_batch = size}), Error);
}

}  // namespace
}  // namespace vlalign::violation_arguments_test
