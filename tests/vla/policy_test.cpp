#include "vlalign/vla/policy.hpp"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/randn_like.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "core/io/files.hpp"
#include "small_policy.hpp"
#include "support/temp_folder.hpp"
#include "tokenizers/clip_tokenizer.hpp"
#include "vlalign/core/device.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/image/transform.hpp"
#include "vlalign/nn/dual_encoder.hpp"
#include "vlalign/vla/fusion/late_fusion.hpp"
#include "vlalign/vla/fusion/make_fusion.hpp"
#include "vlalign/vla/head/make_head.hpp"
#include "vlalign/vla/head/regression_head.hpp"

namespace vlalign::vla::policy_test {
namespace {

using test::config_of;
using test::towers;
using vlalign::test::message_of;
using vlalign::test::TempFolder;

EpisodeBatch random_batch(std::int64_t size = 3) {
  return {.pixels = at::randint(256, {size, 3, 32, 32}, at::kByte),
          .tokens = tokenize(ClipTokenizer(std::vector<ClipTokenizer::Merge>{}),
                             std::vector<std::string>(static_cast<std::size_t>(size), "go"), 16),
          .state = at::randn({size, 4}),
          .actions = at::randn({size, 3, 2}).clamp(-1, 1),
          .mask = at::ones({size, 3}, at::kBool)};
}

at::Tensor act(const Policy& policy, const EpisodeBatch& batch) {
  return policy.act(batch.pixels, policy.read(batch.tokens), batch.state, Precision::fp32,
                    at::detail::createCPUGenerator(5));
}

using Names = std::tuple<std::string_view, std::string_view, bool>;
class PolicyOf : public testing::TestWithParam<Names> {};

TEST_P(PolicyOf, GradientsReachBothTowersFusionAndHead) {
  const auto& [fusion, head, resnet] = GetParam();
  auto config = config_of(std::string(fusion), std::string(head));
  config.weighted = true;
  auto policy = Policy::create(towers(resnet), config);
  policy.train();
  for (const auto& item : policy.module()->named_parameters()) {  // a FiLM that is zero lets no gradient to the text
    const at::NoGradGuard no_graph;
    if (item.key() == "fusion.film.dense.weight") item.value().copy_(0.1 * at::randn_like(item.value()));
  }
  policy.loss(random_batch(), Precision::fp32, at::detail::createCPUGenerator(1)).backward();
  for (const auto* part : {"encoder.visual.", "encoder.text.", "fusion.", "head."}) {
    bool moved = false;
    for (const auto& item : policy.module()->named_parameters()) {
      const auto gradient = item.value().grad();
      if (!item.key().starts_with(part) || !gradient.defined()) continue;
      moved = moved || (gradient.is_sparse() ? gradient.to_dense() : gradient).abs().max().item<double>() > 0;
    }
    EXPECT_TRUE(moved) << part;
  }
  const auto parameters = policy.module()->named_parameters();
  const auto* scale = parameters.find("weight_log_scale");
  if (scale && !resnet) {  // the ResNet's map is a single place
    EXPECT_NE(scale->grad().item<double>(), 0);
  }
}

TEST_P(PolicyOf, ComesBackFromItsFolderToTheSameBits) {
  const auto& [fusion, head, resnet] = GetParam();
  const TempFolder folder;
  auto policy = Policy::create(towers(resnet), config_of(std::string(fusion), std::string(head)), 3);
  policy.train(false);
  policy.save(folder.path() / "policy");
  const auto again = Policy::load(folder.path() / "policy");
  const auto batch = random_batch();
  EXPECT_TRUE(act(policy, batch).equal(act(again, batch)));
}

std::vector<Names> all_kinds() {
  std::vector<Names> kinds;
  for (const auto fusion : fusion_names()) kinds.emplace_back(fusion, "l1", fusion.size() % 2 == 0);
  for (const auto head : head_names()) kinds.emplace_back("text_queries", head, false);
  kinds.emplace_back("tiled_product", "l1", true);
  return kinds;
}

std::string name_of(const testing::TestParamInfo<Names>& kind) {
  const auto& [fusion, head, resnet] = kind.param;
  return std::string(fusion) + "_" + std::string(head) + (resnet ? "_resnet" : "_vit");
}

INSTANTIATE_TEST_SUITE_P(All, PolicyOf, testing::ValuesIn(all_kinds()), name_of);

class PolicyOfCuda : public PolicyOf {
 protected:
  void SetUp() override {
    if (!at::hasCUDA()) GTEST_SKIP() << "this machine has no CUDA GPU";
    at::globalContext().setAllowTF32CuDNN(false);
  }
  void TearDown() override { at::globalContext().setAllowTF32CuDNN(true); }
};

TEST_P(PolicyOfCuda, LearnsAndActsAsOnTheCpu) {
  const auto& [fusion, head, resnet] = GetParam();
  auto config = config_of(std::string(fusion), std::string(head));
  config.weighted = true;
  const auto batch = random_batch();
  auto here = Policy::create(towers(resnet), config, 3), there = Policy::create(towers(resnet), config, 3);
  there.to(parse_device("cuda"));
  here.train(false), there.train(false);
  const auto loss_of = [&](const Policy& policy) {
    const auto loss = policy.loss(batch, Precision::fp32, at::detail::createCPUGenerator(1));
    loss.backward();
    return loss.item<double>();
  };
  EXPECT_NEAR(loss_of(there), loss_of(here), 1e-4);
  for (const auto& item : here.module()->named_parameters()) {
    const auto expected = item.value().grad(), got = there.module()->named_parameters()[item.key()].grad();
    ASSERT_EQ(got.defined(), expected.defined()) << item.key();
    if (!expected.defined()) continue;
    const auto dense = [](const at::Tensor& t) { return (t.is_sparse() ? t.to_dense() : t).cpu(); };
    EXPECT_TRUE(at::allclose(dense(got), dense(expected), 1e-3, 1e-4)) << item.key();
  }
  EXPECT_TRUE(at::allclose(act(there, batch).cpu(), act(here, batch), 1e-3, 1e-4));
}

INSTANTIATE_TEST_SUITE_P(All, PolicyOfCuda, testing::ValuesIn(all_kinds()), name_of);

TEST(Policy, IsItsPartsOneAfterTheOtherInTheDemonstrationsUnits) {
  auto config = config_of("late_concat", "mse");
  config.state_mean = {1, 2, 3, 4};
  config.state_std = {0.5F, 1, 2, 4};
  config.action_low = {-3, 10};
  config.action_high = {1, 30};
  const auto encoder = towers();
  const FusionSizes sizes{.pooled_visual = 16, .pooled_text = 16, .state = 4, .width = 32};
  nn::Initializer initializer(4);
  const auto fusion = std::make_shared<LateFusion>(sizes, LateFusion::Options{}, initializer);
  const auto head = std::make_shared<RegressionHead>(
      32, config.actions, RegressionHead::Options{.loss = RegressionHead::Loss::mse}, initializer);
  Policy policy(encoder, fusion, head, config);
  policy.train(false);

  const at::NoGradGuard no_graph;
  const auto batch = random_batch();
  const FusionInput input{
      .pooled_visual = encoder.encode_image(batch.pixels),
      .pooled_text = encoder.encode_text(batch.tokens),
      .state = (batch.state - at::tensor({1.F, 2.F, 3.F, 4.F})) / at::tensor({0.5F, 1.F, 2.F, 4.F})};
  const auto raw = head->predict(fusion->forward(input).mean(1)).to(at::kDouble);
  const auto low = at::tensor({-3.0, 10.0}), high = at::tensor({1.0, 30.0});
  const auto expected = low + (raw + 1) / 2 * (high - low);
  EXPECT_LT((act(policy, batch).to(at::kDouble) - expected).abs().max().item<double>(), 1e-4);
  const auto target = (batch.actions.to(at::kDouble) - low) / (high - low) * 2 - 1;
  EXPECT_NEAR(policy.loss(batch).item<double>(), (raw - target).square().mean().item<double>(), 1e-4);
}

TEST(Policy, AnInstructionReadOnceServesAllFrames) {
  auto policy = Policy::create(towers(), config_of("text_queries", "l1"));
  policy.train(false);
  const auto batch = random_batch();
  const auto once = policy.read(batch.tokens.narrow(0, 0, 1));
  EXPECT_TRUE(at::allclose(policy.act(batch.pixels, once, batch.state), act(policy, batch), 1e-5, 1e-6));
}

TEST(Policy, WithFilmInTheTowerStartsAsWithoutBitForBit) {
  for (const bool resnet : {false, true}) {
    auto config = config_of("film", "l1");
    auto plain = Policy::create(towers(resnet), config, 2);
    config.film = {-2, -1};
    auto modulated = Policy::create(towers(resnet), config, 2);
    plain.train(false), modulated.train(false);
    const auto batch = random_batch();
    EXPECT_TRUE(act(plain, batch).equal(act(modulated, batch)));
    EXPECT_TRUE(plain.loss(batch).equal(modulated.loss(batch)));
  }
}

TEST(Policy, KnowsPlacesWhereverItsTokensDo) {
  // Two frames of the same patches in other places: a late fusion of a mean over equal tokens couldn't tell them apart,
  // learned positions can.
  auto policy = Policy::create(towers(), config_of("text_queries", "l1"));
  policy.train(false);
  auto positions = policy.module()->named_parameters()["positions"];
  EXPECT_EQ(positions.sizes().vec(), (std::vector<std::int64_t>{4, 32}));
  // They begin as waves: the sine and cosine of the column, then of the row, a quarter of the numbers each.
  EXPECT_NEAR(positions[1][0].item<double>(), std::sin(1.0), 1e-6);
  EXPECT_NEAR(positions[1][8].item<double>(), std::cos(1.0), 1e-6);
  EXPECT_NEAR(positions[1][16].item<double>(), 0, 1e-6);
  EXPECT_NEAR(positions[2][17].item<double>(), std::sin(std::pow(10000.0, -1.0 / 8)), 1e-6);
  const auto batch = random_batch();
  const auto before = act(policy, batch);
  const at::NoGradGuard no_graph;
  positions.copy_(at::randn({4, 32}));
  EXPECT_GT((act(policy, batch) - before).abs().max().item<double>(), 1e-3);
}

/// Keeps what it was given.
class Recording : public Fusion {
 public:
  Recording(const FusionSizes& sizes, const Needs& needs, nn::Initializer& initializer)
      : Fusion("Recording", sizes, needs, initializer), proj(projection("proj", sizes.visual_tokens, initializer)) {}
  std::shared_ptr<nn::Linear> proj;
  mutable FusionInput given;

 protected:
  at::Tensor fuse(const FusionInput& input) const override {
    given = input;
    const bool pooled = input.pooled_visual.defined();
    return with_state(proj->forward(pooled ? input.pooled_visual.unsqueeze(1) : input.visual_tokens), input);
  }
};

/// [B, 4], by hand: 4 softmax(20 cos(mean word, patch)).
at::Tensor expected_weights(const DualEncoder& encoder, const EpisodeBatch& batch) {
  const auto text = encoder.text_features(batch.tokens);
  const auto& module = *encoder.module();
  const auto patches =
      module.in_joint_space(places(encoder.image_features(batch.pixels)), module.image_projection).to(at::kDouble);
  const auto words = module.in_joint_space(text.tokens, module.text_projection).to(at::kDouble);
  auto weights = at::zeros({batch.pixels.size(0), 4}, at::kDouble);
  for (std::int64_t b = 0; b < weights.size(0); ++b) {
    const auto mean = words[b].narrow(0, 0, text.mask[b].sum().item<std::int64_t>()).mean(0);
    std::vector<double> mass;
    for (std::int64_t n = 0; n < 4; ++n)
      mass.push_back(std::exp(20 * (patches[b][n].dot(mean) / mean.norm()).item<double>()));
    const auto all = std::accumulate(mass.begin(), mass.end(), 0.0);
    for (std::int64_t n = 0; n < 4; ++n) weights[b][n] = 4 * mass[static_cast<std::size_t>(n)] / all;
  }
  return weights;
}

EpisodeBatch two_instructions() {
  auto batch = random_batch(2);
  const ClipTokenizer tokenizer(std::vector<ClipTokenizer::Merge>{});
  batch.tokens = tokenize(tokenizer, std::vector<std::string>{"go", "go left"}, 16);
  return batch;
}

/// What a policy of these towers gives a fusion with these needs.
FusionInput given_to(const Fusion::Needs& needs, bool weighted, const EpisodeBatch& batch) {
  nn::Initializer initializer(4);
  const FusionSizes sizes{.visual_tokens = 32, .pooled_visual = weighted ? 32 : 16, .state = 4, .width = 32};
  auto config = config_of("recording", "l1");
  config.weighted = weighted;
  const auto fusion = std::make_shared<Recording>(sizes, needs, initializer);
  Policy policy(towers(), fusion, make_head("l1", 32, config.actions, {}, initializer), config);
  policy.train(false);
  act(policy, batch);
  return fusion->given;
}

TEST(Policy, WeighsVisualTokensByHowWellTheWordsFitTheirPlace) {
  const auto batch = two_instructions();
  const auto weights = given_to({.visual_tokens = true}, true, batch).visual_weights;
  EXPECT_LT((weights - expected_weights(towers(), batch)).abs().max().item<double>(), 1e-4);
  EXPECT_FALSE(given_to({.visual_tokens = true}, false, batch).visual_weights.defined());
}

TEST(Policy, GivesALateFusionTheWeightedMeanOfTokensAndTheirPlaces) {
  const auto batch = two_instructions();
  const auto pooled = given_to({.pooled_visual = true}, true, batch).pooled_visual;
  const auto tokens = given_to({.visual_tokens = true}, true, batch).visual_tokens.to(at::kDouble);
  const auto expected = (tokens * expected_weights(towers(), batch).unsqueeze(2)).sum(1) / 4;
  EXPECT_LT((pooled - expected).abs().max().item<double>(), 1e-4);
}

TEST(Policy, RetrievalAnswersWithActionsOfItsBank) {
  auto config = config_of("late_concat", "retrieval");
  config.action_low = {-2, -2};
  config.action_high = {2, 2};
  auto policy = Policy::create(towers(), config);
  policy.train(false);
  const auto actions = act(policy, random_batch(8)).flatten(1);
  for (std::int64_t i = 0; i < 8; ++i) {
    bool found = false;
    for (const auto& phrase : config.phrases)
      found = found || at::allclose(actions[i], at::tensor(phrase.actions), 1e-5, 1e-5);
    EXPECT_TRUE(found) << actions[i];
  }
}

TEST(Policy, OfATowerWithoutBlocksPointsAndReadsTheMapsOfItsStem) {
  auto config = test::towers().config();
  std::get<VitConfig>(config.vision).stem = {8, 8}, std::get<VitConfig>(config.vision).layers = 0;
  const auto encoder = DualEncoder::create(config, test::towers().tokenizer(), 1);
  for (const auto* fusion : {"pointing", "tiled_product"}) {
    auto how = test::config_of(fusion, "l1");
    how.maps = {0, 1};
    const auto policy = Policy::create(encoder, how);
    const auto text = policy.read(at::full({1, 3}, 5, at::kLong));
    EXPECT_EQ(policy.act(at::zeros({2, 3, 32, 32}, at::kByte), text, at::zeros({2, 4})).sizes().vec(),
              (std::vector<std::int64_t>{2, 3, 2}));
  }
  std::get<VitConfig>(config.vision).stem = {};
  const auto without = DualEncoder::create(config, test::towers().tokenizer(), 1);
  EXPECT_THROW(Policy::create(without, test::config_of("tiled_product", "l1")), Error);
}

TEST(Policy, OptionsOfItsPartsAreKeptInItsFolder) {
  struct Case {
    const char *fusion, *head;
    PartOptions fusion_options, head_options;
  };
  const Case cases[] = {{"early", "l1", {{"layers", 1}, {"readouts", 3}}, {{"hidden", 24}, {"layers", 1}}},
                        {"pointing", "bins", {{"pointers", 2}, {"scale", 2.5}, {"found", 8}}, {{"bins", 16}}},
                        {"token_learner", "mse", {{"learned_tokens", 3}}, {}},
                        {"text_queries", "flow_matching", {{"layers", 2}, {"heads", 2}}, {{"steps", 3}}},
                        {"attention_pooling", "retrieval", {{"queries", 2}}, {{"hidden", 40}}},
                        {"late_product", "huber", {{"hidden", 12}}, {{"layers", 2}}}};
  for (const auto& [fusion, head, fusion_options, head_options] : cases) {
    const TempFolder folder;
    const auto plain = config_of(fusion, head);
    auto config = plain;
    config.fusion_options = fusion_options;
    config.head_options = head_options;
    auto policy = Policy::create(towers(), config, 3);
    policy.save(folder.path() / "policy");
    auto loaded = Policy::load(folder.path() / "policy");
    EXPECT_EQ(loaded.config().fusion_options, fusion_options);
    EXPECT_EQ(loaded.config().head_options, head_options);
    for (auto* each : {&policy, &loaded}) each->train(false);
    const auto batch = random_batch();
    EXPECT_TRUE(act(loaded, batch).equal(act(policy, batch))) << fusion << ", " << head;
    auto without = Policy::create(towers(), plain, 3);
    without.train(false);
    EXPECT_FALSE(act(without, batch).equal(act(policy, batch))) << fusion << ", " << head << ": the options do nothing";
  }
}

TEST(Policy, NamesAnOptionThatItsPartsLack) {
  const auto complaint = [](const char* fusion, const char* head, const PartOptions& of_fusion,
                            const PartOptions& of_head) {
    auto config = config_of(fusion, head);
    config.fusion_options = of_fusion, config.head_options = of_head;
    return message_of<Error>([&] { Policy::create(towers(), config); });
  };
  EXPECT_EQ(complaint("early", "l1", {{"pointers", 2}}, {}),
            "[make_fusion] early: unknown option 'pointers': expected one of layers, heads, readouts");
  EXPECT_EQ(complaint("early", "l1", {}, {{"bins", 2}}),
            "[make_head] l1: unknown option 'bins': expected one of hidden, layers");
  for (const double bad : {0.0, -1.0, 1.5, 1e9, std::nan(""), std::numeric_limits<double>::infinity()})
    EXPECT_NE(
        complaint("early", "l1", {{"heads", bad}}, {}).find("[make_fusion] early: heads: expected an integer from 1"),
        std::string::npos)
        << bad;
  EXPECT_EQ(complaint("pointing", "l1", {{"scale", -1}}, {}),
            "[Pointing] scale: expected more than 0 and finite, got -1");
  EXPECT_EQ(complaint("text_queries", "bins", {}, {{"bins", 1}}),
            "[make_head] bins: bins: expected an integer from 2 to 16384, got 1");
}

TEST(Policy, SaysWhatIsWrong) {
  const auto complaint = [](const PolicyConfig& config) {
    return message_of<Error>([&] { Policy::create(towers(), config); });
  };
  auto config = config_of("text_queries", "l1");
  config.state_mean = {1, 2};
  EXPECT_EQ(complaint(config), "[Policy] state_mean: expected 4 numbers, got 2");
  config = config_of("text_queries", "l1");
  config.action_high = {-1, 1};
  EXPECT_EQ(complaint(config), "[Policy] expected action_high above action_low and state_std above 0 everywhere");
  config = config_of("text_queries", "retrieval");
  config.phrases[1].actions.pop_back();
  EXPECT_EQ(complaint(config), "[Policy] phrase \"go right\": expected 3 x 2 actions, got 5");
  EXPECT_EQ(complaint(config_of("glue", "l1")).substr(0, 33), "[make_fusion] unknown fusion 'glu");
  EXPECT_EQ(complaint(config_of("film", "wheel")),
            "[make_head] unknown head 'wheel': expected one of mse, l1, huber, bins, flow_matching, retrieval");
  config = config_of("tiled_product", "l1");
  config.maps = {7};
  EXPECT_EQ(complaint(config), "[Tower] layer 7: the tower has 2, counted from 0 or, negative, from the end");

  const auto policy = Policy::create(towers(), config_of("text_queries", "l1"));
  auto batch = random_batch();
  batch.state = at::zeros({3, 5});
  EXPECT_EQ(message_of<Error>([&] { policy.loss(batch); }), "[Policy] state: expected [B, 4], got [3, 5]");
  batch.state = at::Tensor();
  EXPECT_EQ(message_of<Error>([&] { policy.loss(batch); }), "[Policy] state: expected [B, 4], got nothing");
}

TEST(Policy, ReplacesOnlyAPolicysFolder) {
  const TempFolder folder;
  const auto target = folder.path() / "policy", note = target / "encoder" / "notes.txt";
  const auto policy = Policy::create(towers(), config_of("text_queries", "l1"), 1);
  policy.save(target);
  policy.save(target);
  write_file_atomically(note, "mine");
  EXPECT_EQ(message_of<Error>([&] { policy.save(target); }),
            target.string() +
                ": isn't replaced, since it is not empty and not a policy's folder: its encoder is no model folder, "
                "notes.txt is in it; choose another name");
  EXPECT_EQ(read_file(note), "mine");
  std::filesystem::remove(note);
  write_file_atomically(target / "trainer.json", "{}");
  EXPECT_THROW(policy.save(target), Error);
  EXPECT_THROW(policy.encoder().save(target), Error);
  EXPECT_EQ(read_file(target / "trainer.json"), "{}");
}

TEST(Policy, AFolderOfAnotherPolicyChangesNothing) {
  const TempFolder folder;
  auto policy = Policy::create(towers(), config_of("text_queries", "l1"), 1);
  const auto other = Policy::create(towers(), config_of("text_queries", "bins"), 2);
  other.save(folder.path() / "other");
  policy.train(false);
  const auto batch = random_batch();
  const auto before = act(policy, batch);
  EXPECT_THROW(policy.load_weights(folder.path() / "other"), Error);
  EXPECT_TRUE(act(policy, batch).equal(before));
}

TEST(Policy, IsNotWrittenWithWeightsThatAreNotFinite) {
  const TempFolder folder;
  const auto policy = Policy::create(towers(), config_of("text_queries", "l1"));
  for (const auto& item : policy.module()->named_parameters()) {
    const at::NoGradGuard no_graph;
    if (item.key().starts_with("head.")) item.value().fill_(std::numeric_limits<float>::quiet_NaN());
  }
  EXPECT_EQ(message_of<Error>([&] { policy.save(folder.path() / "policy"); }).find("[Policy::save] head."), 0U);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

}  // namespace
}  // namespace vlalign::vla::policy_test
