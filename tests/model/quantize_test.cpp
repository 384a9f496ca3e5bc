#include "vlalign/model/quantize.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <limits>

#include "support/model_fixture.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/image/transform.hpp"
#include "vlalign/model/live_encoder.hpp"
#include "vlalign/model/lora.hpp"
#include "vlalign/nn/dual_encoder.hpp"

namespace vlalign::quantize_test {
namespace {

using test::byte_tokenizer;
using test::message_of;

/// Large enough for every product of its blocks to fit bytes.
DualEncoder small_model(std::uint64_t seed = 1) {
  ModelConfig config;
  config.name = "small";
  config.embed_dim = 32;
  config.vision = VitConfig{.patch_size = 8, .width = 64, .layers = 3, .head_width = 16};
  config.text = {.context_length = 16, .vocab_size = 514, .width = 64, .heads = 4, .layers = 3};
  config.preprocess.image_size = 32;
  auto model = DualEncoder::create(config, byte_tokenizer(), seed);
  model.train(false);
  return model;
}

struct Pairs {
  at::Tensor pixels, tokens;

  static Pairs random(std::int64_t count) {
    auto tokens = at::randint(1, 500, {count, 16}, at::kLong);
    tokens.select(1, 15).fill_(513);
    return {at::randint(0, 256, {count, 3, 32, 32}, at::kByte), tokens};
  }
};

double mean_cosine(const at::Tensor& a, const at::Tensor& b) {
  return (a.to(at::kDouble) * b.to(at::kDouble)).sum(1).mean().item<double>();
}

class Quantized : public testing::Test {
 protected:
  const at::NoGradGuard no_graph;
  DualEncoder model = small_model();
  Pairs seen = Pairs::random(96), others = Pairs::random(40);
};

TEST_F(Quantized, EmbedsAsInFloat32) {
  const auto image = model.encode_image(others.pixels), text = model.encode_text(others.tokens);
  const auto result = quantize(model, seen.pixels, seen.tokens);
  EXPECT_GE(result.image_cosine, 0.995);
  EXPECT_GE(result.text_cosine, 0.995);
  const auto image8 = model.encode_image(others.pixels, Precision::int8);
  const auto text8 = model.encode_text(others.tokens, Precision::int8);
  EXPECT_GE(mean_cosine(image8, image), 0.995);
  EXPECT_GE(mean_cosine(text8, text), 0.995);
  EXPECT_FALSE(image8.equal(image));
  EXPECT_TRUE(model.encode_image(others.pixels).equal(image)) << "float32 changed";
  EXPECT_TRUE(model.encode_text(others.tokens).equal(text)) << "float32 changed";
}

/// Four products a block: queries, keys and values; the sum over heads; in and out of the feed-forward network.
TEST_F(Quantized, HasEachProductOfItsBlocksInInt8) {
  const auto result = quantize(model, seen.pixels, seen.tokens);
  EXPECT_EQ(std::ssize(result.products), 2 * 3 * 4);
  for (const auto& product : result.products) {
    EXPECT_TRUE(product.int8) << product.name;
    EXPECT_GT(product.error, 0) << product.name;
    EXPECT_LT(product.error, 1e-3) << product.name;
    EXPECT_EQ(model.int8_columns().count(product.name + ".scale"), 1) << product.name;
  }
  EXPECT_EQ(std::ssize(model.int8_columns()), 2 * std::ssize(result.products));
}

/// A few columns of the normalised tokens a hundred times as large as the others, as in trained Transformers (Dettmers
/// et al. 2022), and the weights behind them as much smaller: what it computes is the same.
TEST_F(Quantized, StandsOutliersInAFewColumns) {
  for (const auto& item : model.module()->named_parameters()) {
    const auto& name = item.key();
    if (name.find("ln_1.") != name.npos || name.find("ln_2.") != name.npos) item.value().narrow(0, 5, 3).mul_(100);
    const bool behind = name.ends_with("in_proj_weight") || name.ends_with("c_fc.weight");
    if (behind) item.value().narrow(1, 5, 3).div_(100);
  }
  const auto image = model.encode_image(others.pixels);
  quantize(model, seen.pixels, seen.tokens);
  EXPECT_GE(mean_cosine(model.encode_image(others.pixels, Precision::int8), image), 0.995);
}

TEST_F(Quantized, LeavesTheWorstProductsInFloatsWhereMoreIsAskedFor) {
  const auto all = quantize(model, seen.pixels, seen.tokens);
  const double asked = 1 - (1 - std::min(all.image_cosine, all.text_cosine)) / 3;
  const auto result = quantize(model, seen.pixels, seen.tokens, {.cosine = asked});
  EXPECT_GE(std::min(result.image_cosine, result.text_cosine), asked);
  double worst_left = 0, best_taken = 1;
  for (const auto& [name, error, int8] : result.products)
    int8 ? worst_left = std::max(worst_left, error) : best_taken = std::min(best_taken, error);
  EXPECT_LT(worst_left, best_taken);
  EXPECT_LT(best_taken, 1) << "none was taken";
}

TEST_F(Quantized, IsAsItWasWhereNoProductCanBeInInt8) {
  EXPECT_EQ(message_of<Error>([&] { quantize(model, seen.pixels, seen.tokens, {.cosine = 1}); }),
            "[quantize] model small: no product can be in int8 with a mean cosine of 1 to float32");
  EXPECT_TRUE(model.int8_columns().empty());
}

TEST_F(Quantized, ComesBackFromItsFolder) {
  const test::TempFolder folder;
  quantize(model, seen.pixels, seen.tokens);
  model.save(folder.path() / "model");
  model.save(folder.path() / "model");  // over a folder of its kind
  const auto back = DualEncoder::load(folder.path() / "model");
  const auto equal = [&](Precision precision) {
    return back.encode_image(others.pixels, precision).equal(model.encode_image(others.pixels, precision)) &&
           back.encode_text(others.tokens, precision).equal(model.encode_text(others.tokens, precision));
  };
  EXPECT_TRUE(equal(Precision::int8));
  EXPECT_TRUE(equal(Precision::fp32));

  model.set_int8_columns({});
  model.save(folder.path() / "model");
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "model" / "int8.safetensors"));
}

TEST_F(Quantized, FollowsItsWeights) {
  quantize(model, seen.pixels, seen.tokens);
  const auto before = model.encode_image(others.pixels, Precision::int8);
  const auto columns = model.int8_columns();
  auto other = small_model(/*seed=*/2);
  const auto theirs = other.module()->parameters();
  std::size_t i = 0;
  for (const auto& weight : model.module()->parameters()) weight.copy_(theirs[i++]);
  other.set_int8_columns(columns);
  const auto after = model.encode_image(others.pixels, Precision::int8);
  EXPECT_FALSE(after.equal(before));
  EXPECT_TRUE(after.equal(other.encode_image(others.pixels, Precision::int8)));
}

/// Columns go with the weights they were measured with.
TEST_F(Quantized, LosesItsColumnsWithOtherWeights) {
  const test::TempFolder folder;
  quantize(model, seen.pixels, seen.tokens);
  model.save(folder.path() / "int8");
  auto other = small_model(/*seed=*/2);
  other.save(folder.path() / "other");
  other.load_weights(folder.path() / "int8");
  EXPECT_TRUE(
      other.encode_image(others.pixels, Precision::int8).equal(model.encode_image(others.pixels, Precision::int8)));
  model.load_weights(folder.path() / "other");
  EXPECT_TRUE(model.int8_columns().empty());
  other.load_image_tower(folder.path() / "other");
  EXPECT_TRUE(other.int8_columns().empty());

  quantize(model, seen.pixels, seen.tokens);
  add_lora(model, {.rank = 2});
  model.save(folder.path() / "merged");
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "merged" / "int8.safetensors"));
}

TEST_F(Quantized, LeavesALiveEncoderNoTextOfOtherColumns) {
  quantize(model, seen.pixels, seen.tokens);
  const LiveEncoder live(model, {.precision = Precision::int8});
  const auto embed = [&](std::string_view text) {
    std::vector<float> out(static_cast<std::size_t>(live.dim()));
    live.embed(text, out);
    return out;
  };
  const auto before = embed("a red cup");
  auto columns = model.int8_columns();
  for (auto& [name, numbers] : columns)
    if (name.ends_with(".scale")) numbers = numbers * 0.5;
  model.set_int8_columns(columns);
  const auto after = embed("a red cup");
  EXPECT_NE(after, before);
  EXPECT_EQ(after, embed("a red cup "));
}

TEST_F(Quantized, NamesWhatIsNotFinite) {
  model.module()->named_parameters()["visual.ln_post.bias"].fill_(std::numeric_limits<float>::quiet_NaN());
  EXPECT_EQ(message_of<Error>([&] { quantize(model, seen.pixels, seen.tokens); }),
            "[quantize] model small: pixels, tokens or weights give embeddings that aren't finite");
}

TEST_F(Quantized, LivesInAControlLoop) {
  quantize(model, seen.pixels, seen.tokens);
  const LiveEncoder live(model, {.precision = Precision::int8});
  Image frame{32, 32, std::vector<std::uint8_t>(3 * 32 * 32)};
  for (std::size_t i = 0; i < frame.rgb.size(); ++i) frame.rgb[i] = static_cast<std::uint8_t>(i * 13 % 256);
  std::vector<float> out(static_cast<std::size_t>(live.dim()));
  live.embed(ImageView(frame), out);
  const auto pixels = at::from_blob(frame.rgb.data(), {1, 32, 32, 3}, at::kByte).permute({0, 3, 1, 2});
  const auto expected = model.encode_image(pixels, Precision::int8);
  EXPECT_LT((at::from_blob(out.data(), {1, live.dim()}) - expected).abs().max().item<double>(), 1e-2);
}

TEST_F(Quantized, SaysWhatItLacks) {
  const auto lacks = "[int8] model small: not prepared for int8: quantize() does that, and `vlalign quantize`";
  EXPECT_EQ(message_of<Error>([&] { model.encode_image(seen.pixels, Precision::int8); }), lacks);
  EXPECT_EQ(message_of<Error>([&] { model.encode_text(seen.tokens, Precision::int8); }), lacks);
  EXPECT_EQ(message_of<Error>([&] { LiveEncoder(model, {.precision = Precision::int8}); }), lacks);
}

TEST_F(Quantized, RefusesColumnsThatAreNotItsOwn) {
  quantize(model, seen.pixels, seen.tokens);
  const auto good = model.int8_columns();
  const auto image = model.encode_image(others.pixels, Precision::int8);
  const std::string name = "visual.transformer.resblocks.0.mlp.c_fc";
  const auto refusal = [&](const std::string& key, const at::Tensor& tensor) {
    auto columns = good;
    columns[key] = tensor;
    return message_of<Error>([&] { model.set_int8_columns(columns); });
  };
  EXPECT_EQ(refusal("nothing.scale", at::ones({64})),
            "[set_int8_columns] nothing.scale: the model has no such product");
  EXPECT_EQ(refusal(name + ".scale", at::ones({63})),
            "[set_int8_columns] " + name + ": expected float32 [64] on a CPU, got Float [63]");
  EXPECT_EQ(refusal(name + ".scale", at::zeros({64})),
            "[set_int8_columns] " + name + ".scale: expected numbers above 0");
  EXPECT_EQ(refusal(name + ".centre", at::zeros({64}) / 0), "[set_int8_columns] " + name + ": expected finite numbers");
  auto half = good;
  half.erase(name + ".centre");
  EXPECT_EQ(message_of<Error>([&] { model.set_int8_columns(half); }),
            "[set_int8_columns] " + name + ": expected both scale and centre");
  EXPECT_TRUE(model.encode_image(others.pixels, Precision::int8).equal(image)) << "something changed";
}

TEST_F(Quantized, RefusesBadArguments) {
  const auto refusal = [&](const at::Tensor& pixels, const at::Tensor& tokens, const QuantizeOptions& options = {}) {
    return message_of<Error>([&] { quantize(model, pixels, tokens, options); });
  };
  EXPECT_EQ(refusal({}, seen.tokens), "[quantize] pixels: expected [B, 3, S, S], got no tensor");
  EXPECT_EQ(refusal(seen.pixels, {}), "[quantize] tokens: expected int64 [B, L], got no tensor");
  EXPECT_EQ(refusal(seen.pixels, seen.tokens, {.cosine = 1.5}), "[quantize] cosine: expected 0 to 1, got 1.5");
  EXPECT_EQ(refusal(seen.pixels, seen.tokens, {.batch_size = 0}), "[quantize] batch_size: expected at least 1, got 0");
  EXPECT_FALSE(refusal(seen.pixels, seen.tokens.to(at::kFloat)).empty());
  EXPECT_TRUE(model.int8_columns().empty());
}

/// What isn't finite must come out as such, and not as some code.
TEST_F(Quantized, PassesOnWhatIsNotFinite) {
  quantize(model, seen.pixels, seen.tokens);
  auto pixels = others.pixels.narrow(0, 0, 1).to(at::kFloat) / 255;
  pixels[0][0][3][3] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(model.encode_image(pixels, Precision::int8).isnan().all().item<bool>());
}

}  // namespace
}  // namespace vlalign::quantize_test
