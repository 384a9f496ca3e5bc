#include "vlalign/core/normalize.hpp"

#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "vlalign/core/error.hpp"

namespace vlalign::normalize_test {
namespace {

TEST(L2Normalize, DividesByTheLength) {
  const auto y = l2_normalize(at::tensor({3.0F, 4.0F}).view({1, 2}));
  EXPECT_FLOAT_EQ(y[0][0].item<float>(), 0.6F);
  EXPECT_FLOAT_EQ(y[0][1].item<float>(), 0.8F);
}

TEST(L2Normalize, GivesFloat32ForLowPrecision) {
  const auto y = l2_normalize(at::randn({4, 8}).to(at::kBFloat16));
  EXPECT_EQ(y.scalar_type(), at::kFloat);
  EXPECT_TRUE(y.norm(2, 1).allclose(at::randn({4}).fill_(1.0), 1e-6, 1e-6));
}

TEST(L2Normalize, KeepsAZeroRowZeroAndItsGradientFinite) {
  auto x = at::zeros({2, 3}).requires_grad_();
  const auto y = l2_normalize(x);
  EXPECT_EQ(y.abs().sum().item<float>(), 0.0F);
  y.sum().backward();
  EXPECT_TRUE(x.grad().isfinite().all().item<bool>());
}

TEST(L2Normalize, HasTheGradientOfFiniteDifferences) {
  auto x = at::randn({3, 5}, at::kDouble).requires_grad_();
  const auto weights = at::randn({3, 5}, at::kDouble);
  const auto value = [&](const at::Tensor& at) { return l2_normalize(at).mul(weights).sum(); };
  value(x).backward();
  const double step = 1e-6;
  for (int i = 0; i < 3; ++i) {
    for (int j = 0; j < 5; ++j) {
      auto above = x.detach().clone(), below = x.detach().clone();
      above[i][j] += step;
      below[i][j] -= step;
      const double numeric = (value(above) - value(below)).item<double>() / (2 * step);
      EXPECT_NEAR(x.grad()[i][j].item<double>(), numeric, 1e-8);
    }
  }
}

TEST(L2Normalize, NamesWhatHasNoRows) {
  EXPECT_THROW(l2_normalize({}), Error);
  EXPECT_THROW(l2_normalize(at::zeros({})), Error);
  EXPECT_THROW(l2_normalize(at::zeros({2, 3}, at::kLong)), Error);
  EXPECT_THROW(l2_normalize(at::zeros({2, 3}, at::kComplexFloat)), Error);
  EXPECT_EQ(l2_normalize(at::zeros({0, 3})).sizes().vec(), (std::vector<std::int64_t>{0, 3}));
}

}  // namespace
}  // namespace vlalign::normalize_test
