#include <ATen/TensorOperators.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <limits>

#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/train/policy_trainer.hpp"

namespace vlalign::measure_ranges_test {
namespace {

using test::message_of;

class Given : public EpisodeSource {
 public:
  explicit Given(std::vector<Episode> episodes) : episodes_(std::move(episodes)) {}
  std::int64_t size() const override { return std::ssize(episodes_); }
  const Episode& episode(std::int64_t i) const override { return episodes_.at(static_cast<std::size_t>(i)); }
  Image frame(std::int64_t, std::int64_t, PixelsAs) const override { throw Error("no pictures here"); }

 private:
  std::vector<Episode> episodes_;
};

Episode episode(const std::string& name, std::int64_t steps = 5) {
  return {.name = name, .instructions = {"go"}, .states = at::zeros({steps, 2}), .actions = at::ones({steps, 3})};
}

std::string complaint(std::vector<Episode> episodes) {
  return message_of<Error>([&] {
    vla::PolicyConfig config;
    vla::measure_ranges(std::make_shared<Given>(std::move(episodes)), config);
  });
}

TEST(MeasureRanges, NamesTheEpisodeWhoseNumbersAreNotFinite) {
  auto bad = episode("third");
  bad.actions[4][1].fill_(std::numeric_limits<float>::quiet_NaN());
  EXPECT_EQ(complaint({episode("first"), episode("second"), bad}),
            "[measure_ranges] episode third: expected finite actions, got NaN or infinity at step 4");
  bad = episode("second");
  bad.states[0][0].fill_(-std::numeric_limits<float>::infinity());
  EXPECT_EQ(complaint({episode("first"), bad}),
            "[measure_ranges] episode second: expected finite states, got NaN or infinity at step 0");
}

TEST(MeasureRanges, NamesTheEpisodeOfAnotherSize) {
  auto other = episode("other");
  other.actions = at::ones({5, 4});
  EXPECT_EQ(complaint({episode("first"), other}),
            "[measure_ranges] episode other: expected actions [T, 3] as in those before, got [5, 4]");
  other = episode("other");
  other.states = at::Tensor();
  EXPECT_EQ(complaint({episode("first"), other}),
            "[measure_ranges] episode other: expected states [T, 2] as in those before, got none");
}

TEST(MeasureRanges, NeedsAStep) {
  EXPECT_EQ(complaint({}), "[measure_ranges] episodes: expected at least one step, got none");
  EXPECT_EQ(complaint({episode("empty", 0)}), "[measure_ranges] episodes: expected at least one step, got none");
}

}  // namespace
}  // namespace vlalign::measure_ranges_test
