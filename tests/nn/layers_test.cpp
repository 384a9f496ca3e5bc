#include "vlalign/nn/layers.hpp"

#include <ATen/ops/conv2d.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include "vlalign/train/optimizer.hpp"

namespace vlalign::nn::layers_test {
namespace {

/// Whether the layer computes in bfloat16 with the weights it has now.
void expect_current(const Linear& layer, const Tensor& x) {
  const at::NoGradGuard no_graph;
  const auto expected = at::linear(x, layer.weight.to(at::kBFloat16), layer.bias.to(at::kBFloat16));
  EXPECT_TRUE(layer.forward(x).allclose(expected, 1e-2, 1e-2));
}

TEST(KeptWeight, FollowsEveryChangeOfTheWeight) {
  Initializer initializer(1);
  Linear layer(8, 4, {}, initializer);
  const auto x = at::randn({3, 8}).to(at::kBFloat16);
  expect_current(layer, x);

  Optimizer optimizer({{"weight", layer.weight}, {"bias", layer.bias}}, {});
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

TEST(KeptWeight, LeavesTheGradientItsWay) {
  Initializer initializer(1);
  const Linear layer(8, 4, {}, initializer);
  const auto x = at::randn({3, 8}).to(at::kBFloat16);
  expect_current(layer, x);  // which keeps a cast without a graph
  layer.forward(x).sum().backward();
  EXPECT_EQ(layer.weight.grad().scalar_type(), at::kFloat);
  EXPECT_TRUE(layer.weight.grad()[0].allclose(x.to(at::kFloat).sum(0), 1e-2, 1e-2));
}

/// Windows side by side are a product of patches; ATen's convolution says what should come of it.
TEST(Conv2d, OfPatchesEqualsTheConvolutionAndItsGradients) {
  for (const auto memory : {at::MemoryFormat::Contiguous, at::MemoryFormat::ChannelsLast}) {
    Initializer initializer(1);
    const Conv2d layer(3, 5, 4, {.stride = 4, .bias = true}, initializer);
    const auto leaf = [](const Tensor& t) { return t.detach().to(at::kDouble).requires_grad_(); };
    const auto x = at::randn({2, 3, 18, 12}).contiguous(memory).requires_grad_();
    const auto wide_x = leaf(x), w = leaf(layer.weight), b = leaf(layer.bias);
    const auto y = layer.forward(x), expected = at::conv2d(wide_x, w, b, 4);
    ASSERT_EQ(y.sizes(), (std::vector<std::int64_t>{2, 5, 4, 3}));
    EXPECT_TRUE(y.to(at::kDouble).allclose(expected, 1e-5, 1e-5));
    const auto upstream = at::randn(y.sizes());
    y.backward(upstream);
    expected.backward(upstream.to(at::kDouble));
    EXPECT_TRUE(x.grad().to(at::kDouble).allclose(wide_x.grad(), 1e-5, 1e-5));
    EXPECT_TRUE(layer.weight.grad().to(at::kDouble).allclose(w.grad(), 1e-5, 1e-5));
    EXPECT_TRUE(layer.bias.grad().to(at::kDouble).allclose(b.grad(), 1e-5, 1e-5));
  }
}

}  // namespace
}  // namespace vlalign::nn::layers_test
