#include "vlalign/model/live_encoder.hpp"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/tensor.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <Eigen/Core>
#include <atomic>
#include <cstring>
#include <limits>
#include <thread>
#include <vector>

#include "support/allocation_count.hpp"
#include "support/model_fixture.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/image/transform.hpp"
#include "vlalign/nn/dual_encoder.hpp"

namespace vlalign::live_encoder_test {
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

std::vector<float> embed(const LiveEncoder& encoder, std::string_view text) {
  std::vector<float> out(static_cast<std::size_t>(encoder.dim()));
  encoder.embed(text, out);
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
  EXPECT_LT(largest_difference(embed(encoder, "a red cup"), plain.encode_text(tokens, precision)), tolerance);
}

INSTANTIATE_TEST_SUITE_P(Models, LiveEncoderOf,
                         testing::Combine(testing::Values("vit", "resnet"),
                                          testing::Values(Precision::fp32, Precision::bf16)));

TEST(LiveEncoder, KeepsTheTextsThatWereAskedForLast) {
  const LiveEncoder encoder(test::peer_model("vit"), {.kept_texts = 2});
  std::vector<float> out(static_cast<std::size_t>(encoder.dim()));
  const auto allocations = [&](const char* text) {
    const test::OwnAllocations own;
    encoder.embed(text, out);
    return own.count();
  };
  const auto first = embed(encoder, "push"), second = embed(encoder, "pull");
  EXPECT_EQ(allocations("push"), 0);
  EXPECT_EQ(out, first);
  EXPECT_GT(allocations("stay"), 0);  // in pull's place
  EXPECT_EQ(allocations("push"), 0);
  EXPECT_GT(allocations("pull"), 0) << "made again";
  EXPECT_EQ(out, second);
}

void multiply_weights(const DualEncoder& model, double factor) {
  const at::NoGradGuard no_graph;
  for (auto& parameter : model.module()->parameters()) parameter.mul_(factor);
}

/// The embeddings of a model that no LiveEncoder has touched, whose weights are so many times the fixture's.
struct Plain {
  std::vector<float> image, text;
  explicit Plain(double factor) {
    const auto model = test::peer_model("vit");
    multiply_weights(model, factor);
    const at::NoGradGuard no_graph;
    auto pixels = preprocess(frame(1), model.config().preprocess);
    const auto rows = at::from_blob(pixels.rgb.data(), {1, pixels.height, pixels.width, 3}, at::kByte);
    const auto tokens = tokenize(*model.tokenizer(), std::vector<std::string>{"a red cup"}, 16);
    image = floats_of(model.encode_image(rows.permute({0, 3, 1, 2})));
    text = floats_of(model.encode_text(tokens));
  }
  static std::vector<float> floats_of(const at::Tensor& row) {
    return {row.const_data_ptr<float>(), row.const_data_ptr<float>() + row.numel()};
  }
};

void expect_near(const std::vector<float>& got, const std::vector<float>& expected) {
  ASSERT_EQ(got.size(), expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], expected[i], 1e-5);
}

TEST(LiveEncoder, FollowsAChangeOfTheWeights) {
  auto model = test::peer_model("vit");
  const LiveEncoder encoder(model);
  expect_near(embed(encoder, frame(1)), Plain(1).image);
  expect_near(embed(encoder, "a red cup"), Plain(1).text);
  multiply_weights(model, 1.1);
  EXPECT_EQ(embed(encoder, frame(1)), embed(LiveEncoder(model), frame(1)));
  expect_near(embed(encoder, frame(1)), Plain(1.1).image);
  expect_near(embed(encoder, "a red cup"), Plain(1.1).text);
}

TEST(LiveEncoder, TakesUpAChangeThatLibTorchDoesNotCountWhenRefreshed) {
  for (const bool by_memory : {false, true}) {
    auto model = test::peer_model("vit");
    LiveEncoder encoder(model);
    embed(encoder, frame(1)), embed(encoder, "a red cup");
    for (auto& parameter : model.module()->parameters()) {
      if (by_memory) {
        const auto more = parameter.detach().mul(1.1).contiguous();
        std::memcpy(parameter.data_ptr(), more.const_data_ptr(), more.nbytes());
      } else {
        parameter.data().mul_(1.1);
      }
    }
    encoder.refresh();
    expect_near(embed(encoder, frame(1)), Plain(1.1).image);
    expect_near(embed(encoder, "a red cup"), Plain(1.1).text);
  }
}

TEST(LiveEncoder, IsRefreshedBesideItsCalls) {
  LiveEncoder encoder(test::peer_model("vit"), {.threads = 1});
  const auto image = embed(encoder, frame(1)), text = embed(encoder, "a red cup");
  std::atomic<bool> stop = false;
  std::atomic<int> calls = 0;
  {
    std::vector<std::jthread> cameras;
    for (int i = 0; i < 3; ++i)
      cameras.emplace_back([&] {
        for (; !stop; ++calls) {
          EXPECT_EQ(embed(encoder, frame(1)), image);
          EXPECT_EQ(embed(encoder, "a red cup"), text);
        }
      });
    for (int i = 0; i < 30 || calls < 30; ++i) encoder.refresh();
    stop = true;
  }
}

TEST(LiveEncoder, EvaluatesThoughTrainingModeWasSetMeanwhile) {
  auto model = test::peer_model("resnet");
  const LiveEncoder encoder(model);
  const auto before = embed(encoder, frame(1));
  const auto statistics = model.module()->named_buffers()["visual.bn1.running_mean"].clone();
  model.train();
  EXPECT_EQ(embed(encoder, frame(1)), before);
  EXPECT_TRUE(model.module()->named_buffers()["visual.bn1.running_mean"].equal(statistics));
}

TEST(LiveEncoder, GivesOutNoEmbeddingThatIsNoNumber) {
  auto model = test::peer_model("vit");
  const LiveEncoder encoder(model);
  std::vector<float> out(static_cast<std::size_t>(encoder.dim()), 7.0F);
  const auto untouched = out;
  const auto spoil = [&](at::Tensor weight) {
    const at::NoGradGuard no_graph;
    weight.view(-1)[0].fill_(std::numeric_limits<float>::quiet_NaN());
  };
  spoil(model.module()->image_projection->weight);
  spoil(model.module()->text_projection->weight);
  const auto image = frame(1);
  const auto* complaint = "[LiveEncoder] the embedding isn't finite: weights or their products are NaN or infinite";
  EXPECT_EQ(message_of<Error>([&] { encoder.embed(ImageView(image), out); }), complaint);
  EXPECT_EQ(message_of<Error>([&] { encoder.embed("a cup", out); }), complaint);
  EXPECT_EQ(message_of<Error>([&] { encoder.embed("a cup", out); }), complaint) << "it isn't kept";
  EXPECT_EQ(out, untouched);
  EXPECT_EQ(message_of<Error>([&] { LiveEncoder{model}; }),
            "[LiveEncoder] image_projection.weight: expected finite weights, got NaN or infinity");
}

TEST(LiveEncoder, RefusesStatisticsThatAreNoNumbersToo) {
  auto model = test::peer_model("resnet");
  LiveEncoder encoder(model);
  model.module()->named_buffers()["visual.bn1.running_var"][0].fill_(std::numeric_limits<float>::infinity());
  EXPECT_EQ(message_of<Error>([&] { encoder.refresh(); }),
            "[LiveEncoder] visual.bn1.running_var: expected finite weights, got NaN or infinity");
}

TEST(LiveEncoder, RefusesWeightsWhoseChangesAreNotCounted) {
  const c10::InferenceMode inference;
  const auto model = test::peer_model("vit");
  const auto complaint = message_of<Error>([&] { LiveEncoder{model}; });
  EXPECT_NE(complaint.find(": made in inference mode, in which LibTorch doesn't count changes"), std::string::npos)
      << complaint;
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
  embed(encoder, "a cup");
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
    encoder.embed("stay", out);
    EXPECT_GT(at_first.count(), 0);
  }
  const test::OwnAllocations own;
  for (const auto& view : {ImageView(second), bgr(second)}) encoder.embed(view, out);
  encoder.embed("stay", out);
  EXPECT_EQ(own.count(), 0) << own.callers();
}

TEST(LiveEncoder, GivesEigenItsEmbeddingsWithoutACopy) {
  const LiveEncoder encoder(test::peer_model("vit"));
  const auto image = frame(1);
  Eigen::VectorXf seen(encoder.dim());
  encoder.embed(ImageView(image), {seen.data(), static_cast<std::size_t>(seen.size())});
  Eigen::VectorXf said(encoder.dim());
  encoder.embed("a red cup", {said.data(), static_cast<std::size_t>(said.size())});
  const auto in_tensors = at::tensor(embed(encoder, image)).dot(at::tensor(embed(encoder, "a red cup")));
  EXPECT_NEAR(said.dot(seen), in_tensors.item<float>(), 1e-6);
}

TEST(LiveEncoder, NamesAnOutputOfTheWrongSize) {
  const LiveEncoder encoder(test::peer_model("vit"));
  std::vector<float> out(3);
  const auto image = frame(1);
  EXPECT_EQ(message_of<Error>([&] { encoder.embed(ImageView(image), out); }),
            "[LiveEncoder] out: expected " + std::to_string(encoder.dim()) + " numbers, got 3");
  EXPECT_EQ(message_of<Error>([&] { encoder.embed("a cup", out); }),
            "[LiveEncoder] out: expected " + std::to_string(encoder.dim()) + " numbers, got 3");
}

TEST(LiveEncoder, SaysWhatIsWrong) {
  const auto model = test::peer_model("vit");
  const auto complaint = [&](const LiveEncoderOptions& options) {
    return message_of<Error>([&] { LiveEncoder(model, options); });
  };
  EXPECT_EQ(complaint({.threads = -1}), "[LiveEncoder] threads: expected 0 or more, got -1");
  EXPECT_EQ(complaint({.threads = 100000}), "[LiveEncoder] threads: expected at most 1024, got 100000");
  EXPECT_EQ(complaint({.kept_texts = 0}), "[LiveEncoder] kept_texts: expected at least 1, got 0");
  const LiveEncoder encoder(model);
  for (const auto* blank : {"", " ", "\t\n "})
    EXPECT_EQ(message_of<Error>([&] { embed(encoder, blank); }), "[LiveEncoder] text: expected words, got a blank");
}

}  // namespace
}  // namespace vlalign::live_encoder_test
