// What the test kit finds: each of these losses has one mistake, and lacks the properties that the mistake costs.
#include <ATen/TensorOperators.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/one_hot.h>
#include <gtest/gtest-spi.h>

#include <limits>
#include <memory>
#include <stdexcept>

#include "core/check.hpp"
#include "testing/dense_losses.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/loss/sigmoid.hpp"
#include "vlalign/testing/loss_properties.hpp"

namespace vlalign::mutations_test {
namespace {

using namespace kit;

using test::DenseInfoNCE;
using test::Mistake;

/// The names of the properties that a loss lacks.
std::vector<std::string> lacks(const AnyLoss& loss, const LossClaims& claims = {}) {
  std::vector<std::string> names;
  for (const auto property : all_properties())
    if (find_violation(property, loss, claims)) names.emplace_back(to_string(property));
  return names;
}

std::vector<std::string> lacks(Mistake mistake) { return lacks(DenseInfoNCE(mistake), {.lower_bound = 0.0}); }

std::vector<std::string> names(std::initializer_list<Property> properties) {
  std::vector<std::string> result;
  for (const auto property : properties) result.emplace_back(to_string(property));
  return result;
}

/// A loss made from the value of the right one.
template <typename Change>
AnyLoss changed_value(Change change) {
  return {[change](const ContrastiveBatch& batch) { return change(DenseInfoNCE().forward(batch), batch); }};
}

/// Yeh et al. 2021, decoupled contrastive learning: the positive is left out of the sum, so that it can be negative.
at::Tensor decoupled(const ContrastiveBatch& b) {
  const auto logits = b.logit_scale * at::matmul(l2_normalize(b.image), l2_normalize(b.text).t());
  const auto own = at::eye(b.image.size(0), at::kBool);
  const auto others = logits.masked_fill(own, -std::numeric_limits<double>::infinity());
  return (at::logsumexp(others, 1) + at::logsumexp(others, 0) - 2 * logits.diagonal()).mean() / 2;
}

at::Tensor guarded_decoupled(const ContrastiveBatch& batch) {
  if (batch.image.size(0) < 2) throw Error("no negatives");
  return decoupled(batch);
}

TEST(Mutations, WithoutAnyNothingIsFound) { EXPECT_EQ(lacks(Mistake::none), names({})); }

TEST(Mutations, NoNormalization) { EXPECT_EQ(lacks(Mistake::lengths_leak), names({Property::unit_length})); }

TEST(Mutations, OneDirectionOnly) { EXPECT_EQ(lacks(Mistake::one_direction), names({Property::modality_symmetry})); }

TEST(Mutations, TemperatureMultiplied) {
  EXPECT_EQ(lacks(Mistake::multiplied_temperature), names({Property::scale_sharpens}));
}

TEST(Mutations, MeanOverTheBatchSquared) {
  EXPECT_EQ(lacks(Mistake::mean_over_square), names({Property::batch_growth}));
}

TEST(Mutations, ExponentialsWithoutTheMaximumTakenOut) {
  EXPECT_EQ(lacks(Mistake::no_maximum), names({Property::edges}));
}

TEST(Mutations, GatherWithoutGradient) {
  EXPECT_EQ(lacks(Mistake::gather_without_gradient), names({Property::processes}));
}

TEST(Mutations, TargetsWithoutTheOffsetOfTheProcess) {
  EXPECT_EQ(lacks(Mistake::targets_without_offset), names({Property::processes}));
}

TEST(Mutations, TransposedLogits) { EXPECT_EQ(lacks(Mistake::transposed_logits), names({Property::custom_targets})); }

TEST(Mutations, ScaleGradientCountedForEachProcess) {
  EXPECT_EQ(lacks(Mistake::repeated_scale_gradient), names({Property::processes}));
}

class ThreeTimesTheOtherTexts : public SigmoidLoss {
 public:
  SumOverTexts over_other_texts() const override {
    return [right = SigmoidLoss::over_other_texts()](const ContrastiveBatch& batch, const at::Tensor& texts) {
      return 3 * right(batch, texts);
    };
  }
};

TEST(Mutations, WhatOtherTextsAddIsTooMuch) {
  EXPECT_EQ(lacks(AnyLoss(ThreeTimesTheOtherTexts())), names({Property::other_texts}));
}

TEST(Mutations, SumOverRowsInsteadOfTheMean) { EXPECT_EQ(lacks(Mistake::sum_of_rows), names({Property::processes})); }

TEST(Mutations, OneSideWithoutGradient) {
  EXPECT_EQ(lacks(Mistake::text_without_gradient), names({Property::gradients}));
}

TEST(Mutations, LogitsInBfloat16) { EXPECT_EQ(lacks(Mistake::bfloat16_logits), names({Property::bfloat16})); }

TEST(Mutations, NormThatIsNaNAtZero) {
  EXPECT_EQ(lacks(Mistake::bare_norm), names({Property::lower_bound, Property::edges}));
}

TEST(Mutations, GradientAgainstTheValue) {
  EXPECT_EQ(lacks(changed_value([](auto value, auto&) { return 2 * value.detach() - value; })),
            names({Property::gradients, Property::descent}));
}

TEST(Mutations, AlignmentPunished) {
  EXPECT_EQ(lacks(changed_value([](auto value, auto&) { return -value; })),
            names({Property::perfect_alignment, Property::scale_sharpens, Property::batch_growth}));
}

TEST(Mutations, StateBetweenCalls) {
  const auto calls = std::make_shared<int>(0);
  const auto drifting = changed_value([calls](auto value, auto&) { return value * (1 + 1e-6 * (*calls)++); });
  const auto found = lacks(drifting);
  ASSERT_FALSE(found.empty());
  EXPECT_EQ(found.front(), to_string(Property::purity));
}

TEST(Mutations, BatchModifiedInPlace) {
  const auto in_place = [](const ContrastiveBatch& batch) {
    batch.text.detach().mul_(2);
    return DenseInfoNCE().forward(batch);
  };
  EXPECT_EQ(lacks(AnyLoss(in_place)), names({Property::purity, Property::processes}));
}

TEST(Mutations, FirstPairCountedMore) {
  const auto biased = changed_value(
      [](auto value, auto& b) { return value - (l2_normalize(b.image[0]) * l2_normalize(b.text[0])).sum(); });
  EXPECT_EQ(lacks(biased), names({Property::pair_order}));
}

TEST(Mutations, DistancesAlongTheAxes) {
  const auto city_block = [](const ContrastiveBatch& b) {
    return (l2_normalize(b.image) - l2_normalize(b.text)).abs().sum(1).mean();
  };
  EXPECT_EQ(lacks(AnyLoss(city_block)), names({Property::rotation}));
}

TEST(Mutations, PaddingTakenForWords) {
  EXPECT_EQ(lacks(test::late_interaction(test::Mask::ignored)), names({Property::padding}));
}

TEST(Mutations, GroupsTakenForIndices) {
  const auto by_index = [](const ContrastiveBatch& b) {
    auto dense = b;
    if (b.groups.defined()) {
      const auto members = at::one_hot(b.groups).to(at::kDouble);
      dense.groups.reset();
      dense.soft_targets = at::matmul(members, members.t());
    }
    return DenseInfoNCE().forward(dense);
  };
  EXPECT_EQ(lacks(AnyLoss(by_index, {.groups = true})), names({Property::custom_targets}));
}

TEST(Mutations, GroupsThatAreIgnored) {
  const auto ignoring = [](const ContrastiveBatch& b) {
    return DenseInfoNCE().forward({b.image, b.text, b.logit_scale});
  };
  EXPECT_EQ(lacks(AnyLoss(ignoring, {.groups = true})), names({Property::custom_targets}));
}

TEST(Mutations, LowerBoundThatDoesNotHold) {
  EXPECT_EQ(lacks(AnyLoss(guarded_decoupled), {.smallest_batch = 2}), names({}));
  EXPECT_EQ(lacks(AnyLoss(guarded_decoupled), {.lower_bound = 0.0, .smallest_batch = 2}),
            names({Property::lower_bound}));
}

TEST(Mutations, BatchTooSmallForNegativesTaken) {
  EXPECT_EQ(lacks(AnyLoss(decoupled), {.smallest_batch = 2}), names({Property::edges}));
}

TEST(Mutations, GraphBehindTheBatchLookedAt) {
  const auto curious = changed_value([](auto value, auto& b) { return b.image.is_leaf() ? value : 2 * value; });
  EXPECT_EQ(lacks(curious), names({Property::micro_batches}));
}

TEST(Mutations, KinksAreNone) {
  // Wherever the gradient is taken, a kink: its slopes are 0 and 1 there, and relu's gradient is 0.
  const auto kink = std::make_shared<at::Tensor>();
  const AnyLoss loss = [kink](const ContrastiveBatch& b) {
    if (b.image.requires_grad()) *kink = b.image.detach().clone();
    return (b.image - *kink).relu().sum();
  };
  EXPECT_FALSE(find_violation(Property::gradients, loss));
}

TEST(Mutations, NotAScalar) {
  const auto rows = [](const ContrastiveBatch& b) { return (b.image - b.text).square().sum(1); };
  const auto found = find_violation(Property::pair_order, AnyLoss(rows));
  ASSERT_TRUE(found);
  EXPECT_TRUE(found->message.starts_with(
      "custom: TheOrderOfThePairsChangesNothing does not hold: it threw \"the loss is not a floating scalar [], but "
      "Double [1]\"\nsmallest case found: 1 pair of dimension 2, logit scale "))
      << found->message;
}

TEST(Mutations, Detached) {
  const auto constant = changed_value([](auto value, auto&) { return value.detach(); });
  const auto found = find_violation(Property::gradients, constant);
  ASSERT_TRUE(found);
  EXPECT_NE(found->message.find("it threw \"the loss has no gradient: expected a scalar computed from the batch"),
            std::string::npos)
      << found->message;
}

TEST(Violation, NamesTheSmallestBatch) {
  const auto only_from_three = changed_value(
      [](auto value, auto& b) { return b.image.size(0) < 3 ? value : value + l2_normalize(b.image)[0][0]; });
  const auto found = find_violation(Property::rotation, only_from_three);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->batch_size, 3);
  EXPECT_EQ(found->dim, 2);
  EXPECT_NE(found->message.find("3 pairs of dimension 2"), std::string::npos) << found->message;
  EXPECT_NE(found->message.find("custom: RotatingTheSpaceChangesNothing does not hold"), std::string::npos);
}

TEST(Violation, SaysByHowMuchItIsOff) {
  const auto one_more = changed_value([](auto value, auto& b) { return b.own ? value + 1 : value; });
  const auto found = find_violation(Property::processes, one_more);
  ASSERT_TRUE(found);
  EXPECT_NE(found->message.find("with 2 processes, the value is"), std::string::npos) << found->message;
  EXPECT_NE(found->message.find("where 1e-09 is allowed"), std::string::npos) << found->message;
}

TEST(Violation, QuotesWhatTheLossThrows) {
  const AnyLoss thrower = [](const ContrastiveBatch& b) -> at::Tensor {
    if (b.image.scalar_type() == at::kBFloat16) throw std::runtime_error("no bfloat16 here");
    return DenseInfoNCE().forward(b);
  };
  EXPECT_EQ(lacks(thrower), names({Property::bfloat16}));
  EXPECT_NE(find_violation(Property::bfloat16, thrower)->message.find("\"no bfloat16 here\""), std::string::npos);
}

TEST(ReasonToSkip, TellsDecliningFromNotApplying) {
  const LossClaims claims{.declined = {{Property::modality_symmetry, "it looks at images only"}}};
  const DenseInfoNCE loss;
  EXPECT_EQ(reason_to_skip(Property::modality_symmetry, loss, claims), "dense: declined: it looks at images only");
  EXPECT_EQ(reason_to_skip(Property::lower_bound, loss, claims), "dense: does not apply: no lower bound is claimed");
  EXPECT_EQ(reason_to_skip(Property::modality_symmetry, test::two_views()),
            "two views: does not apply: it uses a second image, which texts haven't");
  EXPECT_EQ(reason_to_skip(Property::pair_order, loss, claims), std::nullopt);
}

/// What GoogleTest hears from a test of one property.
testing::TestPartResult result_of(Property property, LossUnderTest (*make)()) {
  testing::TestPartResultArray results;
  {
    const testing::ScopedFakeTestPartResultReporter reporter(
        testing::ScopedFakeTestPartResultReporter::INTERCEPT_ONLY_CURRENT_THREAD, &results);
    LossPropertyTest(property, "my_loss_test.cpp", 7, make).TestBody();
  }
  check(results.size() == 1, "expected one result, got {}", results.size());
  return results.GetTestPartResult(0);
}

TEST(LossPropertyTest, SkipsWithTheReason) {
  const auto result = result_of(Property::descent, [] {
    return LossUnderTest{DenseInfoNCE(), {.declined = {{Property::descent, "it is a measure"}}}};
  });
  EXPECT_TRUE(result.skipped());
  EXPECT_STREQ(result.message(), "dense: declined: it is a measure");
}

TEST(LossPropertyTest, FailsAtTheUsersLine) {
  const auto result =
      result_of(Property::modality_symmetry, [] { return LossUnderTest{DenseInfoNCE(Mistake::one_direction)}; });
  EXPECT_TRUE(result.failed());
  EXPECT_STREQ(result.file_name(), "my_loss_test.cpp");
  EXPECT_EQ(result.line_number(), 7);
  EXPECT_NE(std::string(result.message()).find("smallest case found: 2 pairs"), std::string::npos) << result.message();
}

}  // namespace
}  // namespace vlalign::mutations_test
