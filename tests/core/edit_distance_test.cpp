#include "core/edit_distance.hpp"

#include <gtest/gtest.h>

namespace vlalign::edit_distance_test {
namespace {

TEST(EditDistance, CountsLettersPutInTakenOutAndChanged) {
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3U);  // k to s, e to i, g put in
  EXPECT_EQ(edit_distance("", "abc"), 3U);
  EXPECT_EQ(edit_distance("abc", "abc"), 0U);
  EXPECT_EQ(edit_distance("abc", "ca"), edit_distance("ca", "abc"));
}

}  // namespace
}  // namespace vlalign::edit_distance_test
