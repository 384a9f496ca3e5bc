#include "vlalign/model/live_encoder.hpp"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <Eigen/Core>
#include <atomic>
#include <thread>
#include <vector>

#include "support/allocation_count.hpp"
#include "support/model_fixture.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/data/transform.hpp"
#include "vlalign/nn/dual_encoder.hpp"

namespace vlalign {
namespace {

using test::message_of;

Image frame(int seed) {
  Image image{50, 40, std::vector<std::uint8_t>(3 * 50 * 40)};
  for (std::size_t i = 0; i < image.rgb.size(); ++i)
    image.rgb[i] = static_cast<std::uint8_t>((i * 13 + static_cast<std::size_t>(seed) * 77) % 256);
  return image;
}

std::vector<float> embed(const LiveEncoder& encoder, const Image& image) {
  std::vector<float> out(static_cast<std::size_t>(encoder.dim()));
  encoder.embed(ImageView(image), out);
  return out;
}

double largest_difference(std::span<const float> a, const at::Tensor& b) {
  return (at::from_blob(const_cast<float*>(a.data()), {std::ssize(a)}) - b.view(-1)).abs().max().item<double>();
}

class LiveEncoderOf : public testing::TestWithParam<std::tuple<const char*, Precision>> {};

TEST_P(LiveEncoderOf, GivesTheModelsOwnEmbeddings) {
  const auto& [name, precision] = GetParam();
  const auto model = test::peer_model(name), plain = test::peer_model(name);
  const LiveEncoder encoder(model, {.precision = precision});
  const double tolerance = precision == Precision::fp32 ? 1e-5 : 2e-2;

  const at::NoGradGuard no_graph;
  auto pixels = preprocess(frame(1), plain.config().preprocess);
  const auto rows = at::from_blob(pixels.rgb.data(), {1, pixels.height, pixels.width, 3}, at::kByte);
  const auto image = plain.encode_image(rows.permute({0, 3, 1, 2}), precision);
  EXPECT_LT(largest_difference(embed(encoder, frame(1)), image), tolerance);

  const auto tokens = tokenize(*plain.tokenizer(), std::vector<std::string>{"a red cup"}, 16);
  EXPECT_LT(largest_difference(encoder.embed("a red cup"), plain.encode_text(tokens, precision)), tolerance);
}

INSTANTIATE_TEST_SUITE_P(Models, LiveEncoderOf,
                         testing::Combine(testing::Values("vit", "resnet"),
                                          testing::Values(Precision::fp32, Precision::bf16)));

TEST(LiveEncoder, KeepsATextWhereItIs) {
  const LiveEncoder encoder(test::peer_model("vit"));
  const auto first = encoder.embed("push the blue block");
  for (int i = 0; i < 100; ++i) encoder.embed("other " + std::to_string(i));
  EXPECT_EQ(encoder.embed("push the blue block").data(), first.data());
}

TEST(LiveEncoder, FollowsAChangeOfTheWeights) {
  auto model = test::peer_model("vit");
  const LiveEncoder encoder(model);
  const auto before = embed(encoder, frame(1));
  {
    const at::NoGradGuard no_graph;
    for (auto& parameter : model.module()->parameters()) parameter.mul_(1.1);
  }
  EXPECT_NE(embed(encoder, frame(1)), before);
  EXPECT_EQ(embed(encoder, frame(1)), embed(LiveEncoder(model), frame(1)));
}

TEST(LiveEncoder, ServesSeveralCamerasAtOnceToTheSameBits) {
  const LiveEncoder encoder(test::peer_model("vit"), {.threads = 1});
  std::vector<std::vector<float>> expected, found(4);
  for (int camera = 0; camera < 4; ++camera) expected.push_back(embed(encoder, frame(camera)));
  {
    std::vector<std::jthread> cameras;
    for (int camera = 0; camera < 4; ++camera)
      cameras.emplace_back([&, camera] {
        for (int i = 0; i < 20; ++i) found[static_cast<std::size_t>(camera)] = embed(encoder, frame(camera));
      });
  }
  EXPECT_EQ(found, expected);
}

TEST(LiveEncoder, LeavesTheThreadCountAsItWas) {
  const auto before = at::get_num_threads();
  const LiveEncoder encoder(test::peer_model("vit"), {.threads = before + 1});
  embed(encoder, frame(1));
  encoder.embed("a cup");
  EXPECT_EQ(at::get_num_threads(), before);
}

TEST(LiveEncoder, LeavesTheThreadCountOfThreadsThatStartMeanwhileAsItWas) {
  const auto before = at::get_num_threads();
  const LiveEncoder encoder(test::peer_model("vit"), {.threads = before + 1});
  std::atomic<bool> stop = false;
  std::jthread camera([&] {
    while (!stop) embed(encoder, frame(1));
  });
  for (int i = 0; i < 50; ++i) std::jthread([&] { EXPECT_EQ(at::get_num_threads(), before); });
  stop = true;
}

TEST_P(LiveEncoderOf, AllocatesNothingItselfFromTheSecondFrameOn) {
  const auto& [name, precision] = GetParam();
  const LiveEncoder encoder(test::peer_model(name), {.precision = precision});
  const auto first = frame(1), second = frame(2);
  std::vector<float> out(static_cast<std::size_t>(encoder.dim()));
  const auto bgr = [](const Image& image) { return ImageView(image.rgb, 50, 40, ImageView::Format::bgr); };
  {
    const test::OwnAllocations at_first;
    for (const auto& view : {ImageView(first), bgr(first)}) encoder.embed(view, out);
    encoder.embed("stay");
    EXPECT_GT(at_first.count(), 0);
  }
  const test::OwnAllocations own;
  for (const auto& view : {ImageView(second), bgr(second)}) encoder.embed(view, out);
  encoder.embed("stay");
  EXPECT_EQ(own.count(), 0) << own.callers();
}

TEST(LiveEncoder, GivesEigenItsEmbeddingsWithoutACopy) {
  const LiveEncoder encoder(test::peer_model("vit"));
  const auto image = frame(1);
  Eigen::VectorXf seen(encoder.dim());
  encoder.embed(ImageView(image), {seen.data(), static_cast<std::size_t>(seen.size())});
  const auto text = encoder.embed("a red cup");
  const Eigen::Map<const Eigen::VectorXf> said(text.data(), encoder.dim());
  EXPECT_EQ(said.data(), text.data());
  const auto in_tensors = at::tensor(embed(encoder, image)).dot(at::tensor(std::vector(text.begin(), text.end())));
  EXPECT_NEAR(said.dot(seen), in_tensors.item<float>(), 1e-6);
}

TEST(LiveEncoder, NamesAnOutputOfTheWrongSize) {
  const LiveEncoder encoder(test::peer_model("vit"));
  std::vector<float> out(3);
  const auto image = frame(1);
  EXPECT_EQ(message_of<Error>([&] { encoder.embed(ImageView(image), out); }),
            "[LiveEncoder] out: expected " + std::to_string(encoder.dim()) + " numbers, got 3");
}

}  // namespace
}  // namespace vlalign
