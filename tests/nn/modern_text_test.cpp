// The modern text tower against open_clip's (tests/fixtures/make_modern_text.py).
#include "vlalign/nn/modern_text.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include "model/peers/model_folder.hpp"
#include "model/peers/peer_names.hpp"
#include "support/model_fixture.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/loss/info_nce.hpp"
#include "vlalign/model/presets.hpp"
#include "vlalign/nn/dual_encoder.hpp"
#include "vlalign/train/optimizer.hpp"

namespace vlalign::modern_text_test {
namespace {

namespace fs = std::filesystem;
using test::largest_difference;

fs::path fixture(const std::string& name) { return fs::path(VLALIGN_FIXTURES) / "towers" / name; }

/// Ends with 513, fills up with 7, as the fixtures' texts do.
DualEncoder modern(const std::string& name) {
  return test::peer_model(fixture(name), fixture(name) / "open_clip_config.json");
}

class ModernText : public testing::TestWithParam<const char*> {
 protected:
  NamedTensors expected = read_safetensors(fixture(GetParam()) / "expected.safetensors").tensors;
};
INSTANTIATE_TEST_SUITE_P(OpenClip, ModernText,
                         testing::Values("modern_text_causal", "modern_text_map", "modern_text_sandwich",
                                         "modern_text_plain"));

TEST_P(ModernText, GivesThePeersEmbeddingsTokensAndHiddenStates) {
  const at::NoGradGuard no_grad;
  const auto model = modern(GetParam());
  EXPECT_LT(largest_difference(model.encode_text(expected.at("tokens")), expected.at("text_embedding")), 1e-5);
  EXPECT_LT(largest_difference(model.encode_image(expected.at("pixels")), expected.at("image_embedding")), 1e-5);
  const std::vector<std::int64_t> layers{1, 0};
  const auto features = model.text_features(expected.at("tokens"), layers);
  const auto seen = features.mask.unsqueeze(-1).to(at::kFloat);
  EXPECT_LT(largest_difference(features.embedding, expected.at("text_embedding")), 1e-5);
  EXPECT_LT(largest_difference(features.tokens * seen, expected.at("text_tokens") * seen), 5e-5);
  EXPECT_LT(largest_difference(features.hidden[0] * seen, expected.at("text_hidden.1") * seen), 5e-5);
  EXPECT_LT(largest_difference(features.hidden[1] * seen, expected.at("text_hidden.0") * seen), 5e-5);
}

TEST_P(ModernText, GivesTheSameForTextsCutToTheirLongest) {
  const at::NoGradGuard no_grad;
  const auto model = modern(GetParam());
  for (std::int64_t row = 0; row < 4; ++row) {
    const auto tokens = expected.at("tokens").narrow(0, row, 1);
    const auto length = std::max<std::int64_t>(1, (tokens != 7).sum().item<std::int64_t>());
    EXPECT_LT(largest_difference(model.encode_text(tokens.narrow(1, 0, length)),
                                 expected.at("text_embedding").narrow(0, row, 1)),
              1e-5)
        << "text " << row << " of " << length;
  }
}

TEST_P(ModernText, ComesBackBitForBitAndBuildsTheSameModel) {
  const at::NoGradGuard no_grad;
  const test::TempFolder folder;
  const auto place = folder.path() / "model";
  const auto model = modern(GetParam());
  model.save(place);
  const auto before = read_folder_tensors(fixture(GetParam())).tensors, after = read_folder_tensors(place).tensors;
  EXPECT_EQ(before.size(), after.size());
  for (const auto& [name, tensor] : before) {
    ASSERT_TRUE(after.contains(name)) << name;
    EXPECT_TRUE(tensor.equal(after.at(name))) << name;
  }
  const auto again = test::peer_model(place, place / "open_clip_config.json");
  EXPECT_TRUE(again.encode_text(expected.at("tokens")).equal(model.encode_text(expected.at("tokens"))));
}

TEST_P(ModernText, HasThePeersGradientsWithActivationsKeptOrNot) {
  for (const bool checkpoints : {false, true}) {
    auto model = modern(GetParam());
    model.train();
    model.checkpoint_activations(checkpoints);
    (model.encode_text(expected.at("tokens")) * expected.at("weights")).sum().backward();
    NamedTensors gradients;
    for (const auto& item : model.module()->named_parameters())
      if (item.value().grad().defined()) gradients.emplace(item.key(), item.value().grad().to_dense());
    const auto named = peer_tensors(*model.module(), naming_schemes(model.config(), Layout::open_clip), gradients);
    int compared = 0;
    for (const auto& [name, theirs] : expected) {
      constexpr std::string_view prefix = "gradient.";
      if (!name.starts_with(prefix)) continue;
      ++compared;
      const auto scale = std::max(1e-3, theirs.abs().max().item<double>());
      EXPECT_LT(largest_difference(named.at(name.substr(prefix.size())), theirs) / scale, 1e-4) << name;
    }
    EXPECT_GT(compared, 10);
  }
}

TEST_P(ModernText, FiftyStepsOfAdamWGiveThePeersLosses) {
  auto model = modern(GetParam());
  Optimizer::NamedParameters parameters;
  for (const auto& item : model.module()->named_parameters()) parameters.emplace_back(item.key(), item.value());
  Optimizer optimizer(parameters, {});
  model.train();
  for (std::int64_t step = 0; step < 50; ++step) {
    const auto image = model.encode_image(expected.at("train_pixels")[step % 3]);
    const auto text = model.encode_text(expected.at("train_tokens")[step % 3]);
    const auto loss = InfoNCE().forward({image, text, model.logit_scale()});
    loss.backward();
    optimizer.step(1e-5);
    optimizer.zero_grad();
    model.module()->clamp_logit_scale();
    EXPECT_NEAR(loss.item<double>(), expected.at("losses")[step].item<double>(), 1e-4) << "step " << step;
  }
}

TEST_P(ModernText, RunsInBfloat16) {
  const at::NoGradGuard no_grad;
  const auto model = modern(GetParam());
  const auto text = model.encode_text(expected.at("tokens"), Precision::bf16);
  EXPECT_LT(largest_difference(text, expected.at("text_embedding")), 0.05);
}

TEST(ModernTextConfig, TheNamedModelsAreRead) {
  const auto causal = preset("moderntext-ViT-B-32-256").text;
  EXPECT_EQ(causal.architecture, TextConfig::Architecture::modern);
  EXPECT_EQ(causal.vocab_size, 50260);
  EXPECT_EQ(causal.pad_id, 50258);
  EXPECT_EQ(causal.end_id, 50257);
  EXPECT_EQ(causal.tiktoken, "r50k_base");
  EXPECT_TRUE(causal.causal && causal.block.gate && !causal.block.head_norms && !causal.block.gate_bias);
  const auto both_ways = preset("moderntext-naflex_ViT-B-16").text;
  EXPECT_EQ(both_ways.pool, TextConfig::Pool::attention);
  EXPECT_TRUE(!both_ways.causal && both_ways.block.head_norms);
}

}  // namespace
}  // namespace vlalign::modern_text_test
