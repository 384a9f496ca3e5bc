#include "vlalign/nn/layers.hpp"

#include <ATen/ops/linear.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include "vlalign/train/adamw.hpp"

namespace vlalign::nn {
namespace {

/// Whether the layer computes in bfloat16 with the weights it has now.
void expect_current(const Linear& layer, const Tensor& x) {
  const at::NoGradGuard no_graph;
  const auto expected = at::linear(x, layer.weight.to(at::kBFloat16), layer.bias.to(at::kBFloat16));
  EXPECT_TRUE(layer.forward(x).equal(expected));
}

TEST(KeptCast, FollowsEveryChangeOfTheWeight) {
  Initializer initializer(1);
  Linear layer(8, 4, {}, initializer);
  const auto x = at::randn({3, 8}).to(at::kBFloat16);
  expect_current(layer, x);

  AdamW optimizer({{"weight", layer.weight}, {"bias", layer.bias}}, {});
  for (int step = 0; step < 3; ++step) {
    layer.forward(x).sum().backward();
    optimizer.step(0.1);
    optimizer.zero_grad();
    expect_current(layer, x);
  }
  {
    const at::NoGradGuard no_graph;
    layer.weight.detach().copy_(at::randn({4, 8}));
  }
  expect_current(layer, x);
  layer.weight.set_data(at::randn({4, 8}));
  expect_current(layer, x);
}

TEST(KeptCast, LeavesTheGradientItsWay) {
  Initializer initializer(1);
  const Linear layer(8, 4, {}, initializer);
  const auto x = at::randn({3, 8}).to(at::kBFloat16);
  expect_current(layer, x);  // which keeps a cast without a graph
  layer.forward(x).sum().backward();
  EXPECT_EQ(layer.weight.grad().scalar_type(), at::kFloat);
  EXPECT_TRUE(layer.weight.grad()[0].allclose(x.to(at::kFloat).sum(0), 1e-2, 1e-2));
}

}  // namespace
}  // namespace vlalign::nn
