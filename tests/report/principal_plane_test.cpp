#include "report/principal_plane.hpp"

#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>

namespace {

TEST(PrincipalPlane, FindsTheTwoLongestAxes) {
  // Points along three axes of length 3, 2 and 1: variances 9 : 4 : 1.
  const auto points =
      at::tensor({0., 3., 0., 0., -3., 0., 2., 0., 0., -2., 0., 0., 0., 0., 1., 0., 0., -1.}, at::kDouble);
  const auto plane = vlalign::principal_plane(points.view({6, 3}));
  const double expected[6][2] = {{3, 0}, {-3, 0}, {0, 2}, {0, -2}, {0, 0}, {0, 0}};
  for (std::size_t i = 0; i < 6; ++i) {
    EXPECT_NEAR(std::abs(plane.points[i][0]), std::abs(expected[i][0]), 1e-12);
    EXPECT_NEAR(std::abs(plane.points[i][1]), std::abs(expected[i][1]), 1e-12);
  }
  EXPECT_NEAR(plane.points[0][0], -plane.points[1][0], 1e-12);
  EXPECT_NEAR(plane.explained, 13.0 / 14.0, 1e-12);
}

TEST(PrincipalPlane, KeepsDistancesOfPointsThatLieInAPlane) {
  // A triangle with sides 3, 4, 5 in four dimensions, its centre at the origin.
  auto points = at::tensor({0., 0., 0., 0., 3., 0., 0., 0., 0., 0., 4., 0.}, at::kFloat).view({3, 4});
  points = points.sub(points.mean(0, true));
  const auto plane = vlalign::principal_plane(points);
  const auto distance = [&](std::size_t a, std::size_t b) {
    return std::hypot(plane.points[a][0] - plane.points[b][0], plane.points[a][1] - plane.points[b][1]);
  };
  EXPECT_NEAR(distance(0, 1), 3.0, 1e-5);
  EXPECT_NEAR(distance(0, 2), 4.0, 1e-5);
  EXPECT_NEAR(distance(1, 2), 5.0, 1e-5);
  EXPECT_NEAR(plane.explained, 1.0, 1e-6);
}

TEST(PrincipalPlane, OfOnePointIsTheOrigin) {
  const auto plane = vlalign::principal_plane(at::zeros({1, 5}, at::kFloat));
  ASSERT_EQ(plane.points.size(), 1U);
  EXPECT_EQ(plane.points[0], (std::array<double, 2>{0.0, 0.0}));
  EXPECT_EQ(plane.explained, 0.0);
}

}  // namespace
