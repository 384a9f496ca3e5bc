#include "tabletop/camera.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <thread>

namespace tabletop::camera_test {
namespace {

constexpr int size = 64;

// In degrees; NaN for greys.
double hue(double r, double g, double b) {
  const auto angle = std::atan2(std::numbers::sqrt3 * (g - b), 2 * r - g - b);
  return std::hypot(std::numbers::sqrt3 * (g - b), 2 * r - g - b) < 1 ? std::nan("") : angle * 180 / std::numbers::pi;
}

double distance(double one, double other) { return std::abs(std::remainder(one - other, 360)); }

// The pixel of a point, by the pinhole's formula: the camera is 1.5 m above and 0.2 m before the middle of the table,
// looks at it, and sees 19.5 degrees.
std::array<int, 2> pixel_of(const Scene& scene, double x, double y, double z) {
  const auto tilt = std::asin(0.132);
  const auto dx = x - scene.camera[0];
  const auto dy = y + 0.2 - scene.camera[1];
  const auto dz = z - 1.5 - scene.camera[2];
  const auto up = std::cos(tilt) * dy + std::sin(tilt) * dz;
  const auto depth = std::sin(tilt) * dy - std::cos(tilt) * dz;
  const auto scale = size / 2.0 / std::tan(19.5 / 2 * std::numbers::pi / 180) / depth;
  return {static_cast<int>(size / 2.0 + scale * dx), static_cast<int>(size / 2.0 - scale * up)};
}

TEST(Camera, ShowsEachCubeWhereItIsInTheHueOfItsName) {
  constexpr std::array hues{0.0, 54.0, 122.0, 185.0, 232.0, 286.0};  // red, yellow, green, cyan, blue, purple
  Camera camera(size, size);
  int cubes = 0;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const auto start = make_episode(seed, Combinations::all, Wording::demonstrated);
    const auto image = camera.render(Simulation(start));
    for (const auto& object : start.scene.objects) {
      const bool is_under_the_gripper =
          std::hypot(object.x - start.scene.gripper[0], object.y - start.scene.gripper[1]) < 0.12;
      if (object.shape != 0 || is_under_the_gripper) continue;
      const auto [column, row] = pixel_of(start.scene, object.x, object.y, 0.04);
      const auto* pixel = image.rgb.data() + 3 * (row * size + column);
      const auto seen = hue(pixel[0], pixel[1], pixel[2]);
      const auto nearest = std::min_element(hues.begin(), hues.end(),
                                            [&](double a, double b) { return distance(seen, a) < distance(seen, b); });
      EXPECT_EQ(nearest - hues.begin(), object.colour) << "seed " << seed << ", hue " << seen;
      ++cubes;
    }
  }
  EXPECT_GT(cubes, 20);
}

TEST(Camera, DrawsTheSameInAnotherThread) {
  const auto start = make_episode(2, Combinations::all, Wording::demonstrated);
  Camera camera(size, size);
  const auto here = camera.render(Simulation(start));
  vlalign::Image there;
  std::thread([&] { there = Camera(size, size).render(Simulation(start)); }).join();
  EXPECT_EQ(here.rgb, there.rgb);
}

TEST(Camera, OfOneSizeDrawsBesideOneOfAnother) {
  const auto start = make_episode(2, Combinations::all, Wording::demonstrated);
  Camera small(size, size);
  Camera wide(160, 96);
  const auto before = small.render(Simulation(start));
  const auto image = wide.render(Simulation(start));
  EXPECT_EQ(image.width, 160);
  EXPECT_EQ(image.height, 96);
  EXPECT_EQ(image.rgb.size(), 3 * 160 * 96);
  EXPECT_EQ(small.render(Simulation(start)).rgb, before.rgb);
}

// The meshes of the first scene drawn stand for those of every other.
TEST(Camera, ThatDrewAnotherSceneBeforeDrawsTheSame) {
  Camera used(size, size);
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    const auto start = make_episode(seed, Combinations::all, Wording::demonstrated);
    EXPECT_EQ(used.render(Simulation(start)).rgb, Camera(size, size).render(Simulation(start)).rgb);
  }
}

}  // namespace
}  // namespace tabletop::camera_test
