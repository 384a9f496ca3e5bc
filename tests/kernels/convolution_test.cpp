// Convolutions with what follows them against operators in double precision.
#include "kernels/convolution.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/silu.h>
#include <gtest/gtest.h>

#include <cmath>

namespace vlalign::convolution_test {
namespace {

struct Shape {
  std::int64_t in, out, kernel, stride, groups, side;
};

at::Tensor by_operators(const at::Tensor& y, ThenApply then) {
  switch (then) {
    case ThenApply::relu:
      return y.relu();
    case ThenApply::silu:
      return at::silu(y);
    case ThenApply::gelu:
      return at::gelu(y);
    case ThenApply::nothing:
      break;
  }
  return y;
}

at::Tensor channels_innermost(const at::Tensor& x) { return x.contiguous(at::MemoryFormat::ChannelsLast); }

class ConvolutionOf : public testing::TestWithParam<at::ScalarType> {
 protected:
  /// Values are around 1; of bfloat16 operands and result are rounded, each by 1 in 256 at most.
  static double allowed(at::ScalarType type) { return type == at::kFloat ? 1e-5 : 0.06; }

  static void expect_operators(const Shape& s, ThenApply then, bool with_added, std::int64_t batch) {
    const auto type = GetParam();
    const auto fan_in = static_cast<double>(s.in / s.groups * s.kernel * s.kernel);
    const auto weight = (at::randn({s.out, s.in / s.groups, s.kernel, s.kernel}) / std::sqrt(fan_in)).to(type);
    const auto bias = at::randn({s.out}).to(type);
    const ConvolutionOptions options{.stride = s.stride, .padding = s.kernel / 2, .groups = s.groups};
    // Made for one picture, used with several.
    const auto kernel =
        packed_kernel(weight, channels_innermost(at::randn({1, s.in, s.side, s.side}).to(type)), options);
    const auto x = channels_innermost(at::randn({batch, s.in, s.side, s.side}).to(type));
    auto expected = at::conv2d(x.to(at::kDouble), weight.to(at::kDouble), bias.to(at::kDouble), options.stride,
                               options.padding, 1, options.groups);
    at::Tensor added;
    if (with_added) {
      added = channels_innermost(at::randn(expected.sizes()).to(type));
      expected = expected + added.to(at::kDouble);
    }
    const auto before = added.defined() ? added.clone() : added;
    const auto got = convolution(x, kernel, bias, options, then, added);
    if (with_added) {
      EXPECT_TRUE(added.equal(before));  // which is held here too
      EXPECT_TRUE(convolution(x, kernel, bias, options, then, std::move(added)).equal(got));
    }
    ASSERT_EQ(got.sizes(), expected.sizes());
    EXPECT_TRUE(got.is_contiguous(at::MemoryFormat::ChannelsLast));
    EXPECT_LT((got.to(at::kDouble) - by_operators(expected, then)).abs().max().item<double>(), allowed(type))
        << s.in << " to " << s.out << ", kernel " << s.kernel << ", stride " << s.stride << ", groups " << s.groups
        << ", side " << s.side << ", then " << static_cast<int>(then) << ", added " << with_added;
  }
};

INSTANTIATE_TEST_SUITE_P(Types, ConvolutionOf, testing::Values(at::kFloat, at::kBFloat16),
                         [](const auto& info) { return std::string(c10::toString(info.param)); });

TEST_P(ConvolutionOf, AnyChannelsAndWhatFollowsIsTheOperatorsOneByOne) {
  const at::NoGradGuard no_graph;
  for (const std::int64_t in : {3, 4, 8, 12, 16, 24, 40, 64})
    for (const std::int64_t out : {4, 8, 12, 16, 24, 64})
      for (const std::int64_t kernel : {1, 3})
        for (const auto then : {ThenApply::nothing, ThenApply::relu, ThenApply::silu, ThenApply::gelu})
          for (const bool added : {false, true})
            for (const std::int64_t side : {1, 7})
              expect_operators({in, out, kernel, 1, 1, side}, then, added, 1 + in % 3);
}

TEST_P(ConvolutionOf, StridesAndGroups) {
  const at::NoGradGuard no_graph;
  for (const std::int64_t channels : {4, 12, 32, 48})
    for (const std::int64_t kernel : {3, 5, 7})
      for (const std::int64_t stride : {1, 2})
        for (const bool added : {false, true}) {
          expect_operators({channels, channels, kernel, stride, channels, 14}, ThenApply::gelu, added, 2);
          expect_operators({channels, 2 * channels, kernel, stride, channels, 9}, ThenApply::relu, added, 2);
          expect_operators({3, channels, kernel, stride, 1, 14}, ThenApply::relu, added, 3);
        }
}

}  // namespace
}  // namespace vlalign::convolution_test
