// A module and the config beside it: where they disagree, a model would read past its tables or give out what isn't its
// own.
#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "support/model_fixture.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/nn/dual_encoder.hpp"

namespace vlalign::module_fit_test {
namespace {

using test::message_of;

ModelConfig small(const std::string& text = "clip", bool resnet = false) {
  ModelConfig config;
  config.name = "small";
  config.embed_dim = 16;
  config.vision = VitConfig{.patch_size = 16, .width = 32, .layers = 1, .head_width = 16};
  if (resnet) config.vision = ModifiedResNetConfig{.layers = {1, 1, 1, 1}, .width = 4};
  config.text = {.context_length = 16, .vocab_size = 514, .width = 32, .heads = 2, .layers = 1};
  if (text == "bert") {
    config.text.architecture = TextConfig::Architecture::bert;
    config.text.pool = TextConfig::Pool::first;
    config.text.causal = false;
  }
  config.preprocess.image_size = 32;
  return config;
}

/// What is said of a module of one config beside another.
template <typename Change>
std::string complaint(const ModelConfig& made, const Change& change) {
  auto said = made;
  change(said);
  return message_of<Error>([&] { DualEncoder(make_module(made, 1), said, test::byte_tokenizer()); });
}

TEST(ModuleFit, TakesAModuleThatIsTheConfigs) {
  for (const bool resnet : {false, true}) {
    const auto config = small("clip", resnet);
    const DualEncoder model(make_module(config, 1), config, test::byte_tokenizer());
    EXPECT_EQ(model.encode_image(at::zeros({2, 3, 32, 32}, at::kByte)).sizes().vec(),
              (std::vector<std::int64_t>{2, 16}));
  }
}

TEST(ModuleFit, NamesTheNumberThatDisagrees) {
  EXPECT_EQ(complaint(small(), [](auto& c) { c.embed_dim = 512; }),
            "[DualEncoder] config.embed_dim: the module has 16, got 512");
  EXPECT_EQ(complaint(small(), [](auto& c) { c.preprocess.image_size = 224; }),
            "[DualEncoder] config.preprocess.image_size: the module has 4 places of 16x16 pixels, got 224");
  EXPECT_EQ(complaint(small("clip", true), [](auto& c) { c.preprocess.image_size = 64; }),
            "[DualEncoder] config.preprocess.image_size: the module has 1 places of 32x32 pixels, got 64");
  for (const auto* text : {"clip", "bert"}) {
    EXPECT_EQ(complaint(small(text), [](auto& c) { c.text.context_length = 77; }),
              "[DualEncoder] config.text.context_length: the module has 16, got 77");
    EXPECT_EQ(complaint(small(text), [](auto& c) { c.text.vocab_size = 49408; }),
              "[DualEncoder] config.text.vocab_size: the module has 514, got 49408");
  }
}

TEST(ModuleFit, RefusesATokenizerOfMoreTokensThanTheTowerKnows) {
  auto config = small();
  config.text.vocab_size = 500;
  EXPECT_EQ(message_of<Error>([&] { DualEncoder(make_module(config, 1), config, test::byte_tokenizer()); }),
            "[DualEncoder] tokenizer: the module knows 500 tokens, got one of 514");
}

/// Says that it gives 3 numbers.
class Liar : public nn::Tower {
 public:
  explicit Liar(at::Tensor given) : given_(std::move(given)) {}
  at::Tensor forward(const at::Tensor&, at::ScalarType) override { return given_; }
  std::int64_t width() const override { return 3; }

 private:
  at::Tensor given_;
};

TEST(ModuleFit, ATowerThatGivesAnotherShapeThanItSaysIsAnError) {
  const auto said_of = [](const at::Tensor& given) {
    nn::Initializer initializer(1);
    nn::DualEncoderImpl module(std::make_shared<Liar>(given), std::make_shared<Liar>(given), 8, {}, initializer);
    const auto of_text = message_of<Error>([&] { module.encode_text(at::zeros({2, 4}, at::kLong)); });
    EXPECT_TRUE(of_text.starts_with("[encode_text] the tower: expected floating features [2, 3], got ")) << of_text;
    EXPECT_THROW(module.image_features(at::zeros({2, 3, 4, 4}), {}), Error);
    EXPECT_THROW(module.text_features(at::zeros({2, 4}, at::kLong), {}), Error);
    return message_of<Error>([&] { module.encode_image(at::zeros({2, 3, 4, 4})); });
  };
  EXPECT_EQ(said_of(at::zeros({2, 5})),
            "[encode_image] the tower: expected floating features [2, 3], got Float [2, 5]");
  said_of(at::zeros({1, 3}));
  said_of(at::zeros({2, 3}, at::kLong));
  said_of(at::zeros({2, 2, 3}));
  said_of({});
}

}  // namespace
}  // namespace vlalign::module_fit_test
