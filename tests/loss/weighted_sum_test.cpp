#include "vlalign/loss/weighted_sum.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <limits>

#include "support/rows.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/loss/info_nce.hpp"
#include "vlalign/loss/sigmoid.hpp"

namespace vlalign::weighted_sum_test {
namespace {

AnyLoss constant(double value, std::string name) {
  return {[value](const ContrastiveBatch&) { return test::scalar(value); }, {}, std::move(name)};
}

double at_progress(const WeightedSum& loss, double progress) {
  ContrastiveBatch batch;
  batch.progress = progress;
  return loss.forward(batch).item<double>();
}

TEST(Weight, MovesLinearlyBetweenTwoMomentsOfTheRun) {
  const Weight weight{.from = 2, .to = 6, .begin = 0.25, .end = 0.75};
  EXPECT_DOUBLE_EQ(weight.at(0), 2);
  EXPECT_DOUBLE_EQ(weight.at(0.25), 2);
  EXPECT_DOUBLE_EQ(weight.at(0.5), 4);
  EXPECT_DOUBLE_EQ(weight.at(0.75), 6);
  EXPECT_DOUBLE_EQ(weight.at(1), 6);
}

TEST(Weight, StaysOrSteps) {
  EXPECT_DOUBLE_EQ((Weight{.from = 3}).at(0.9), 3);
  const Weight step{.from = 1, .to = 0, .begin = 0.5, .end = 0.5};
  EXPECT_DOUBLE_EQ(step.at(0.49), 1);
  EXPECT_DOUBLE_EQ(step.at(0.5), 0);
}

TEST(WeightedSum, AddsItsTermsByTheirWeightsOfTheMoment) {
  const WeightedSum loss({{constant(10, "ten")}, {constant(1, "one"), {.from = 0, .to = 4}}});
  EXPECT_DOUBLE_EQ(at_progress(loss, 0), 10);
  EXPECT_DOUBLE_EQ(at_progress(loss, 0.5), 12);
  EXPECT_DOUBLE_EQ(at_progress(loss, 1), 14);
  EXPECT_EQ(loss.name(), "ten+0:4@0:1*one");
}

TEST(WeightedSum, LeavesOutATermOfNoWeight) {
  const AnyLoss never = [](const ContrastiveBatch&) -> at::Tensor { throw Error("computed"); };
  EXPECT_DOUBLE_EQ(at_progress(WeightedSum({{constant(3, "three"), {0.5}}, {never, {0.0}}}), 0), 1.5);
}

TEST(WeightedSum, UsesWhatAnyTermUses) {
  const WeightedSum loss({{InfoNCE()}, {SigmoidLoss(), {0.5}}});
  EXPECT_TRUE(loss.uses().logit_bias);
  EXPECT_TRUE(loss.uses().soft_targets);
  EXPECT_FALSE(loss.uses().teacher);
  EXPECT_EQ(loss.name(), "infonce+0.5*siglip");
}

TEST(WeightedSum, NamesWhatCannotBeSummed) {
  EXPECT_EQ(test::message_of<Error>([] { WeightedSum({}); }), "[WeightedSum] expected at least one term");
  EXPECT_EQ(test::message_of<Error>([] {
              WeightedSum({{InfoNCE(), {.from = 1, .to = 2, .begin = 0.5, .end = 0.2}}});
            }),
            "[WeightedSum] the weight of infonce: expected 0 <= begin <= end <= 1, got 0.5 and 0.2");
  EXPECT_EQ(test::message_of<Error>([] {
              at_progress(WeightedSum({{InfoNCE(), {0.0}}}), 0);
            }),
            "[WeightedSum] 0*infonce: every weight is 0 at 0 of the run");
}

TEST(WeightedSum, NamesNumbersThatAreNone) {
  constexpr auto nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();
  for (const auto weight : {nan, infinity, -infinity, 1e300}) {
    EXPECT_EQ(test::message_of<Error>([&] {
                WeightedSum({{InfoNCE(), {.from = 1, .to = weight}}});
              }),
              "[WeightedSum] the weight of infonce is not finite");
  }
  EXPECT_THROW(WeightedSum({{InfoNCE(), {.begin = nan}}}), Error);
  const WeightedSum loss({{constant(1, "one"), {1.0}}});
  for (const auto progress : {nan, infinity, -0.1, 1.1}) {
    const auto message = test::message_of<Error>([&] { at_progress(loss, progress); });
    EXPECT_EQ(message.find("[WeightedSum] progress: expected 0 to 1, got "), 0U) << message;
  }
}

TEST(WeightedSum, NamesATermThatGivesNoScalar) {
  const auto message_for = [](std::function<at::Tensor(const ContrastiveBatch&)> function) {
    const WeightedSum loss({{AnyLoss(function, {}, "mine"), {0.5}}});
    return test::message_of<Error>([&] { at_progress(loss, 0); });
  };
  EXPECT_EQ(message_for([](const ContrastiveBatch&) { return at::Tensor(); }),
            "[WeightedSum] mine: expected a floating scalar [], got none");
  EXPECT_EQ(message_for([](const ContrastiveBatch&) { return at::zeros({3}); }),
            "[WeightedSum] mine: expected a floating scalar [], got Float [3]");
  EXPECT_EQ(message_for([](const ContrastiveBatch&) { return at::zeros({}, at::kLong); }),
            "[WeightedSum] mine: expected a floating scalar [], got Long []");
}

TEST(WeightedSum, RefusesALossThatWasMovedFrom) {
  AnyLoss loss = InfoNCE();
  const AnyLoss taken = std::move(loss);
  EXPECT_THROW(WeightedSum({{loss, {1.0}}}), Error);  // NOLINT(bugprone-use-after-move)
}

TEST(AnyLoss, RefusesAFunctionThatIsNone) {
  using Function = std::function<at::Tensor(const ContrastiveBatch&)>;
  EXPECT_EQ(test::message_of<Error>([] { AnyLoss{Function()}; }),
            "[AnyLoss] function: expected one of a batch, got an empty one");
}

}  // namespace
}  // namespace vlalign::weighted_sum_test
