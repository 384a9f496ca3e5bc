// What goes wrong most between a camera and a policy, and shows in nothing but worse actions: each is impossible here,
// or an error.
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <type_traits>

#include "small_policy.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/vla/live_policy.hpp"

namespace vlalign::vla::mistakes_test {
namespace {

using test::config_of;
using test::towers;
using Format = ImageView::Format;

constexpr int side = 32;  // the policy's own, so that a frame isn't resized
const std::vector<float> state{1, 2, 3, 4};

std::vector<std::uint8_t> frame() {
  std::vector<std::uint8_t> rgb(std::size_t{3} * side * side);
  for (std::size_t i = 0; i < rgb.size(); ++i) rgb[i] = static_cast<std::uint8_t>(i * 7919 % 251);
  return rgb;
}

std::vector<float> act(const ImageView& view) {
  LivePolicy robot(Policy::create(towers(), config_of("text_queries", "l1"), 3));
  robot.set_instruction("push the cup");
  std::vector<float> action(2);
  robot.act(view, state, action);
  return action;
}

TEST(Mistakes, PaddedRowsAreTheSameFrame) {
  const auto rgb = frame();
  constexpr std::size_t row = 3 * side, padded_row = row + 20;
  std::vector<std::uint8_t> padded(padded_row * side, 200);
  for (std::size_t y = 0; y < side; ++y) std::copy_n(rgb.begin() + row * y, row, padded.begin() + padded_row * y);
  EXPECT_EQ(act({padded, side, side, Format::rgb, padded_row}), act({rgb, side, side, Format::rgb}));
  EXPECT_NE(act({padded, side, side, Format::rgb}), act({rgb, side, side, Format::rgb}));
}

TEST(Mistakes, BgrIsTheSameFrameWhereItIsSaidAndAnotherWhereItIsNot) {
  const auto rgb = frame();
  auto bgr = rgb;
  for (std::size_t i = 0; i < bgr.size(); i += 3) std::swap(bgr[i], bgr[i + 2]);
  EXPECT_EQ(act({bgr, side, side, Format::bgr}), act({rgb, side, side, Format::rgb}));
  EXPECT_NE(act({bgr, side, side, Format::rgb}), act({rgb, side, side, Format::rgb}));
  EXPECT_FALSE((std::is_constructible_v<ImageView, std::span<const std::uint8_t>, int, int>)) << "the order is said";
}

/// The action for pixels that the test has normalised, or not.
std::vector<float> act_on_floats(double (*value)(std::uint8_t byte, std::size_t channel)) {
  auto pixels = at::empty({1, side, side, 3});
  const auto rgb = frame();
  for (std::size_t i = 0; i < rgb.size(); ++i)
    pixels.mutable_data_ptr<float>()[i] = static_cast<float>(value(rgb[i], i % 3));
  auto policy = Policy::create(towers(), config_of("text_queries", "l1"), 3);
  policy.train(false);
  const auto encoder = policy.encoder();
  const auto text = policy.read(tokenize(*encoder.tokenizer(), std::vector<std::string>{"push the cup"}, 16));
  const auto action = policy.act(pixels.permute({0, 3, 1, 2}), text, at::tensor(state).unsqueeze(0))[0][0];
  return {action[0].item<float>(), action[1].item<float>()};
}

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  return std::max(std::abs(a[0] - b[0]), std::abs(a[1] - b[1]));
}

TEST(Mistakes, AFrameIsNormalisedByTheModelsOwnMeanAndDeviation) {
  const auto rgb = frame();
  const auto live = act({rgb, side, side, Format::rgb});
  // CLIP's, as published with its code.
  const auto normalised = act_on_floats([](std::uint8_t byte, std::size_t channel) {
    constexpr double mean[] = {0.48145466, 0.4578275, 0.40821073}, deviation[] = {0.26862954, 0.26130258, 0.27577711};
    return (byte / 255.0 - mean[channel]) / deviation[channel];
  });
  const auto raw = act_on_floats([](std::uint8_t byte, std::size_t) { return byte / 255.0; });
  EXPECT_LT(largest_difference(live, normalised), 1e-5);
  EXPECT_GT(largest_difference(raw, normalised), 1e-3) << "dropping it would show";
}

TEST(Mistakes, FloatsFromZeroToOneAreTheSameFrameAsBytes) {
  const auto rgb = frame();
  std::vector<float> floats;
  for (const auto byte : rgb) floats.push_back(static_cast<float>(byte) / 255);
  EXPECT_EQ(act({floats, side, side, Format::rgb}), act({rgb, side, side, Format::rgb}));
}

TEST(Mistakes, PixelsThatAreAboutToGoAreNoFrame) {
  using Act = decltype(&LivePolicy::act);
  EXPECT_TRUE((std::is_invocable_v<Act, LivePolicy&, ImageView, std::vector<float>&, std::vector<float>&>));
  EXPECT_FALSE((std::is_invocable_v<Act, LivePolicy&, Image, std::vector<float>&, std::vector<float>&>));
  EXPECT_FALSE((std::is_constructible_v<ImageView, std::vector<std::uint8_t>, int, int, Format>));
}

TEST(Mistakes, AFrameLargerThanItsMemoryIsAnErrorBeforeAnythingIsRead) {
  const auto rgb = frame();
  EXPECT_EQ(vlalign::test::message_of<Error>([&] {
              act({rgb, side, side + 1, Format::rgb});
            }),
            "[ImageView] pixels: 33 rows 96 bytes apart need 3168 bytes, got 3072");
}

}  // namespace
}  // namespace vlalign::vla::mistakes_test
