// Its test: the properties that any loss should have, in one line, and one value worked by hand.
#include "margin_info_nce.hpp"

#include <ATen/ops/eye.h>
#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vlalign/testing/loss_properties.hpp>

VLALIGN_TEST_LOSS(AnyMarginInfoNCE, MarginInfoNCE(0.1), {.lower_bound = 0.0});

TEST(MarginInfoNCE, TakesTheMarginOffTheOwnPair) {
  // Two orthogonal pairs at scale 10: the own logit is 10 (1 - 0.1) = 9, the other one 0.
  const auto rows = at::eye(2, at::kDouble);
  const auto loss = MarginInfoNCE(0.1).forward({rows, rows, at::full({}, 10.0, at::kDouble)});
  EXPECT_NEAR(loss.item<double>(), std::log1p(std::exp(-9.0)), 1e-12);
}
