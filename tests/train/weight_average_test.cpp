#include "train/weight_average.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <limits>

namespace vlalign::weight_average_test {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

/// A weight, and a mask as attention adds it.
struct Masked : torch::nn::Module {
  at::Tensor weight = register_parameter("weight", at::tensor({1.0F}));
  at::Tensor mask = register_buffer("mask", at::tensor({0.0F, -infinity}));
};

TEST(WeightAverage, LeavesAMaskOfInfinitiesAsItIs) {
  Masked module;
  WeightAverage average(module, 0.75);
  {
    const at::NoGradGuard no_graph;
    module.weight.fill_(5.0);
  }
  average.update();
  const AveragesInPlace averages(average);
  EXPECT_EQ(module.weight.item<float>(), 2.0F);  // 0.75 * 1 + 0.25 * 5
  EXPECT_TRUE(module.mask.equal(at::tensor({0.0F, -infinity})));
}

}  // namespace
}  // namespace vlalign::weight_average_test
