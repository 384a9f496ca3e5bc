#include "vlalign/model/interpolate.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include "model/peers/peer_names.hpp"
#include "support/temp_folder.hpp"
#include "tokenizers/clip_tokenizer.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/model/lora.hpp"
#include "vlalign/model/peers/read_config.hpp"
#include "vlalign/nn/dual_encoder.hpp"
#include "vlalign/nn/lora.hpp"

namespace vlalign::interpolate_test {
namespace {

using test::message_of;

ModelConfig config_of(const char* name) {
  return read_model_config(std::filesystem::path(VLALIGN_FIXTURES) / "model" / name / "open_clip_config.json");
}

DualEncoder model(const ModelConfig& config, std::uint64_t seed) {
  auto made = DualEncoder::create(config, std::make_shared<ClipTokenizer>(std::vector<ClipTokenizer::Merge>{}), seed);
  at::NoGradGuard no_grad;
  made.module()->log_logit_scale.fill_(1.0 + static_cast<double>(seed));
  for (auto& buffer : made.module()->buffers()) buffer.add_(static_cast<std::int64_t>(seed));
  return made;
}

NamedTensors tensors_of(const DualEncoder& of) { return peer_tensors(*of.module(), {}); }

TEST(Interpolate, GivesEitherModelAtTheEndsAndTheirMeanInTheMiddle) {
  const auto a = model(config_of("resnet"), 1), b = model(config_of("resnet"), 2);
  const auto first = tensors_of(a), second = tensors_of(b);
  const auto at_0 = tensors_of(interpolate(a, b, 0.0)), at_1 = tensors_of(interpolate(a, b, 1.0)),
             at_half = tensors_of(interpolate(a, b, 0.5)), at_tenth = tensors_of(interpolate(a, b, 0.1));
  for (const auto& [name, tensor] : first) {
    EXPECT_TRUE(at_0.at(name).equal(tensor)) << name;
    EXPECT_TRUE(at_1.at(name).equal(second.at(name))) << name;
    if (!tensor.is_floating_point()) continue;
    const auto x = tensor.to(at::kDouble), y = second.at(name).to(at::kDouble);
    EXPECT_LT((at_half.at(name) - (x + y) / 2).abs().max().item<double>(), 1e-6) << name;
    EXPECT_LT((at_tenth.at(name) - (0.9 * x + 0.1 * y)).abs().max().item<double>(), 1e-6) << name;
  }
  EXPECT_NEAR(interpolate(a, b, 0.5).logit_scale().item<double>(), std::exp(2.5), 1e-4);
  for (const auto& [name, tensor] : tensors_of(a)) EXPECT_TRUE(tensor.equal(first.at(name))) << name;
}

TEST(Interpolate, TakesAdaptersIn) {
  const auto a = model(config_of("vit"), 1), b = model(config_of("vit"), 1);
  add_lora(b, {.rank = 2, .alpha = 4});
  at::NoGradGuard no_grad;
  const auto& lora = *nn::adapters(*b.module()).at("text.transformer.resblocks.1.mlp.c_fc.weight");
  lora.b.fill_(0.5);
  const auto name = "text.transformer.resblocks.1.mlp.c_fc.weight";
  // B A with B = 1/2 everywhere: half the sum of A's rows, times alpha / rank, times alpha = 1/2 of the interpolation.
  const auto expected = tensors_of(a).at(name) + 0.5 * 2.0 * 0.5 * lora.a.sum(0);
  EXPECT_LT((tensors_of(interpolate(a, b, 0.5)).at(name) - expected).abs().max().item<double>(), 1e-6);
}

TEST(Interpolate, RefusesModelsThatDoNotBelongTogether) {
  const auto a = model(config_of("vit"), 1);
  EXPECT_EQ(message_of<Error>([&] { interpolate(a, a, 1.5); }), "[interpolate] alpha: expected 0 to 1, got 1.5");
  auto other = config_of("vit");
  other.text.activation = Activation::gelu;
  EXPECT_NE(message_of<Error>([&] { interpolate(a, model(other, 1), 0.5); }).find("activations differ"),
            std::string::npos);
  other = config_of("vit");
  other.embed_dim = 8;
  EXPECT_NE(message_of<Error>([&] {
              interpolate(a, model(other, 1), 0.5);
            }).find("[interpolate] b beside a: 2 tensor(s) don't fit"),
            std::string::npos);
}

}  // namespace
}  // namespace vlalign::interpolate_test
