// Runs that draw random numbers in the towers: dropout, stochastic depth, patches left out.
#include <gtest/gtest.h>

#include "support/colours.hpp"
#include "vlalign/model/peers/read_config.hpp"

namespace vlalign::dropout_run_test {
namespace {

using test::TempFolder;

class DropoutRuns : public test::Colours {
 protected:
  /// A BERT that drops embeddings, branches and attention's weights beside a ViT that leaves out patches, or timm's
  /// NaFlexVit with stochastic depth.
  static DualEncoder drawing_model(bool bert, std::uint64_t seed = 1, bool draws = true) {
    auto config = model(seed, false, 2).config();
    if (bert) {
      config.text.architecture = TextConfig::Architecture::bert;
      config.text.pool = TextConfig::Pool::first;
      config.text.causal = false;
      if (draws) config.text.block.dropout = 0.2, config.text.block.attention_dropout = 0.1;
    } else {
      const auto file = std::filesystem::path(VLALIGN_FIXTURES) / "towers" / "naflex_gap" / "open_clip_config.json";
      config = read_model_config(file);
      auto& vit = std::get<VitConfig>(config.vision);
      if (draws) vit.block.drop_path = 0.5, vit.patch_dropout = 0.3;
    }
    return DualEncoder::create(config, model().tokenizer(), seed);
  }

  DualEncoder stopped_at_each_step(TrainerOptions o, bool bert, const std::filesystem::path& out) const {
    o.out = out;
    o.resume = true;
    for (std::uint64_t seed = 1;; ++seed) {
      const auto trained = drawing_model(bert, seed == 1 ? 1 : 100 + seed);
      Trainer trainer(trained, InfoNCE(), o);
      trainer.on_step([&](const StepResult&) { trainer.stop(); });
      if (!trainer.fit(pairs_).stopped) return trained;
    }
  }
};

TEST_F(DropoutRuns, OfTheSameSeedEqualEachOtherAndResumedOnes) {
  const TempFolder runs;
  for (const bool bert : {false, true}) {
    const auto once = drawing_model(bert), again = drawing_model(bert);
    train(once, options(5)), train(again, options(5));
    expect_equal_bits(once, again);
    expect_equal_bits(once, stopped_at_each_step(options(5), bert, runs.path() / (bert ? "bert" : "naflex")));
  }
}

TEST_F(DropoutRuns, DifferFromThoseOfAnotherSeedAndWithoutDraws) {
  for (const bool bert : {false, true}) {
    const auto once = drawing_model(bert), other = drawing_model(bert), plain = drawing_model(bert, 1, false);
    auto o = options(3);
    train(once, o), train(plain, o);
    EXPECT_NE(once.logit_scale().item<float>(), plain.logit_scale().item<float>());
    o.seed = 8;
    train(other, o);
    EXPECT_NE(once.logit_scale().item<float>(), other.logit_scale().item<float>());
  }
}

TEST_F(DropoutRuns, InPiecesDrawTheSameWhetherActivationsAreKeptOrComputedAgain) {
  for (const bool bert : {false, true}) {
    auto o = options(4);
    o.micro_batch = 2;
    const auto kept = drawing_model(bert);
    auto computed_again = drawing_model(bert);
    computed_again.checkpoint_activations();
    train(kept, o), train(computed_again, o);
    expect_equal_bits(kept, computed_again);
  }
}

}  // namespace
}  // namespace vlalign::dropout_run_test
