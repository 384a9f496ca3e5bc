#include "vlalign/vla/temporal_ensemble.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <utility>
#include <vector>

#include "support/allocation_count.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/core/random.hpp"

namespace vlalign::vla::temporal_ensemble_test {
namespace {

using test::message_of;

constexpr std::int64_t horizon = 5, dims = 3;

std::vector<float> random_chunk(Rng& rng) {
  std::vector<float> chunk(horizon * dims);
  for (float& x : chunk) x = static_cast<float>(rng.uniform(-1, 1));
  return chunk;
}

/// Every chunk so far with its step; the mean of what they say of this step, the oldest first.
double action_by_hand(const std::vector<std::pair<std::int64_t, std::vector<float>>>& chunks, std::int64_t step,
                      std::int64_t number, double m) {
  double sum = 0, total = 0;
  int i = 0;
  for (const auto& [added, chunk] : chunks) {
    if (step - added >= horizon) continue;
    const double weight = std::exp(-m * i++);
    sum += weight * chunk[static_cast<std::size_t>((step - added) * dims + number)];
    total += weight;
  }
  return sum / total;
}

class EveryFewSteps : public testing::TestWithParam<std::int64_t> {};

TEST_P(EveryFewSteps, TheActionIsTheWeightedMeanOfAllThatWasPredictedForIt) {
  constexpr double m = 0.3;
  Rng rng({1});
  TemporalEnsemble ensemble(horizon, dims, m);
  std::vector<std::pair<std::int64_t, std::vector<float>>> chunks;
  std::vector<float> action(dims);
  for (std::int64_t step = 0; step < 23; ++step) {
    if (step % GetParam() == 0) {
      chunks.emplace_back(step, random_chunk(rng));
      ensemble.add(chunks.back().second);
    }
    ensemble.next(action);
    for (std::int64_t number = 0; number < dims; ++number)
      EXPECT_NEAR(action[number], action_by_hand(chunks, step, number, m), 1e-6) << "step " << step;
  }
}

INSTANTIATE_TEST_SUITE_P(TemporalEnsemble, EveryFewSteps, testing::Values(1, 2, 3, 5));

TEST(TemporalEnsemble, CountsTheOldestMost) {
  TemporalEnsemble ensemble(2, 1, std::log(3.0));
  std::vector<float> action(1);
  ensemble.add(std::vector<float>{0, 8});
  ensemble.next(action);
  ensemble.add(std::vector<float>{0, 0});
  ensemble.next(action);
  EXPECT_NEAR(action[0], 6.0, 1e-6);  // (1 * 8 + 1/3 * 0) / (1 + 1/3)
}

TEST(TemporalEnsemble, StartsAnewWhenReset) {
  TemporalEnsemble ensemble(2, 1);
  std::vector<float> action(1);
  ensemble.add(std::vector<float>{5, 5});
  ensemble.next(action);
  ensemble.reset();
  ensemble.add(std::vector<float>{1, 2});
  ensemble.next(action);
  EXPECT_EQ(action[0], 1.0F);
}

TEST(TemporalEnsemble, ALaterChunkForTheSameStepReplacesTheFirst) {
  TemporalEnsemble ensemble(2, 1);
  std::vector<float> action(1);
  ensemble.add(std::vector<float>{5, 5});
  ensemble.add(std::vector<float>{1, 2});
  ensemble.next(action);
  EXPECT_EQ(action[0], 1.0F);
}

TEST(TemporalEnsemble, AllocatesNothingOnceConstructed) {
  Rng rng({1});
  const auto chunk = random_chunk(rng);
  std::vector<float> action(dims);
  TemporalEnsemble ensemble(horizon, dims);
  const auto before = test::allocation_count();
  for (int step = 0; step < 100; ++step) {
    ensemble.add(chunk);
    ensemble.next(action);
  }
  ensemble.reset();
  EXPECT_EQ(test::allocation_count(), before);
  EXPECT_GT(before, 0);  // the count counts
}

TEST(TemporalEnsemble, SaysWhatIsWrong) {
  TemporalEnsemble ensemble(2, 3);
  std::vector<float> action(3), chunk(6);
  EXPECT_EQ(message_of<Error>([&] { ensemble.next(action); }), "[TemporalEnsemble] no chunk reaches to step 0");
  EXPECT_EQ(message_of<Error>([&] { ensemble.add(action); }), "[TemporalEnsemble] chunk: expected 2 x 3, got 3");
  ensemble.add(chunk);
  EXPECT_EQ(message_of<Error>([&] { ensemble.next(chunk); }), "[TemporalEnsemble] action: expected 3, got 6");
  ensemble.next(action);
  ensemble.next(action);
  EXPECT_EQ(message_of<Error>([&] { ensemble.next(action); }), "[TemporalEnsemble] no chunk reaches to step 2");
}

}  // namespace
}  // namespace vlalign::vla::temporal_ensemble_test
