#include "vlalign/model/lora.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include "core/io/files.hpp"
#include "support/temp_folder.hpp"
#include "tokenizers/clip_tokenizer.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/core/io/safetensors.hpp"
#include "vlalign/model/dual_encoder.hpp"
#include "vlalign/model/peers/read_config.hpp"
#include "vlalign/nn/dual_encoder.hpp"
#include "vlalign/nn/lora.hpp"

namespace vlalign::lora_test {
namespace {

namespace fs = std::filesystem;
using test::message_of;
using test::TempFolder;

/// The peer's ViT of the fixtures.
DualEncoder plain_model() {
  const auto folder = fs::path(VLALIGN_FIXTURES) / "model" / "vit";
  auto model = DualEncoder::create(read_model_config(folder / "open_clip_config.json"),
                                   std::make_shared<ClipTokenizer>(std::vector<ClipTokenizer::Merge>{}));
  model.load_weights(folder);
  return model;
}

DualEncoder adapted_model(const LoraOptions& options) {
  auto model = plain_model();
  add_lora(model, options, 3);
  at::NoGradGuard no_grad;
  nn::Initializer initializer(5);
  for (const auto& [name, lora] : nn::adapters(*model.module()))
    lora->b.copy_(initializer.normal(lora->b.sizes(), 0.2));
  return model;
}

/// Of some noise: image and text.
std::pair<at::Tensor, at::Tensor> embeddings(const DualEncoder& model) {
  at::NoGradGuard no_grad;
  nn::Initializer initializer(7);
  const auto tokens = (initializer.uniform({4, 12}, 200.0) + 250.0).to(at::kLong);
  return {model.encode_image(initializer.normal({4, 3, 16, 16}, 1.0)), model.encode_text(tokens)};
}

void expect_near(const std::pair<at::Tensor, at::Tensor>& a, const std::pair<at::Tensor, at::Tensor>& b, double bound) {
  EXPECT_LE((a.first - b.first).abs().max().item<double>(), bound);
  EXPECT_LE((a.second - b.second).abs().max().item<double>(), bound);
}

TEST(AdaptedModel, GivesTheSameEmbeddingsMergedAndTheSameBitsUnmerged) {
  const auto model = adapted_model({.rank = 4});
  const auto before = embeddings(model);
  EXPECT_GT((before.first - embeddings(plain_model()).first).abs().max().item<double>(), 0.01);
  merge_lora(model);
  expect_near(embeddings(model), before, 1e-5);
  unmerge_lora(model);
  expect_near(embeddings(model), before, 0.0);
}

TEST(AdaptedModel, IsWrittenAsThePeersPlainModel) {
  const TempFolder folder;
  const auto model = adapted_model({.rank = 4});
  const auto before = embeddings(model);
  model.save(folder.path() / "model");
  expect_near(embeddings(model), before, 0.0);
  expect_near(embeddings(DualEncoder::load(folder.path() / "model")), before, 1e-5);

  const auto file = "open_clip_model.safetensors";
  const auto plain = read_safetensors(fs::path(VLALIGN_FIXTURES) / "model" / "vit" / file).tensors;
  const auto written = read_safetensors(folder.path() / "model" / file).tensors;
  ASSERT_EQ(plain.size(), written.size());
  for (const auto& [name, tensor] : plain) {
    const bool adapted = name.find(".attn.in_proj_weight") != name.npos ||
                         name.find(".attn.out_proj.weight") != name.npos ||
                         (name.find(".mlp.") != name.npos && name.ends_with("weight"));
    EXPECT_EQ(tensor.equal(written.at(name)), !adapted) << name;
  }

  merge_lora(model);
  model.save(folder.path() / "merged");
  EXPECT_EQ(read_file(folder.path() / "merged" / file), read_file(folder.path() / "model" / file));
}

TEST(AdaptedModel, GetsItsAdapterBackFromAFile) {
  const TempFolder folder;
  const LoraOptions options{.rank = 4, .alpha = 5, .attention = false, .modules = {"text.*"}, .train = {"logit_scale"}};
  const auto model = adapted_model(options), other = plain_model();
  save_lora(model, folder.path() / "adapter.safetensors");
  load_lora(other, folder.path() / "adapter.safetensors");
  expect_near(embeddings(other), embeddings(model), 0.0);
  EXPECT_EQ(to_json(lora_options(other).value()), to_json(options));
  for (const auto& item : other.module()->named_parameters()) {
    EXPECT_EQ(item.value().requires_grad(),
              item.key() == "logit_scale" || item.key().find(".lora.") != std::string::npos)
        << item.key();
  }
}

TEST(AdaptedModel, RefusesAFileThatDoesNotFitAndStaysAsItWas) {
  const TempFolder folder;
  const auto file = folder.path() / "adapter.safetensors";
  save_lora(adapted_model({.rank = 4}), file);
  auto stored = read_safetensors(file);
  stored.tensors.erase("text.transformer.resblocks.0.attn.lora.a");
  const auto damaged = folder.path() / "damaged.safetensors";
  write_safetensors(damaged, stored.tensors, stored.metadata);
  const auto model = plain_model();
  const auto before = embeddings(model);
  const auto message = message_of<Error>([&] { load_lora(model, damaged); });
  EXPECT_NE(message.find("text.transformer.resblocks.0.attn.lora.a is missing (expected [12, 16])"), std::string::npos)
      << message;
  expect_near(embeddings(model), before, 0.0);
  EXPECT_FALSE(lora_options(model).has_value());
  for (const auto& parameter : model.module()->parameters()) EXPECT_TRUE(parameter.requires_grad());

  write_safetensors(damaged, stored.tensors);
  EXPECT_EQ(message_of<Error>([&] { load_lora(model, damaged); }),
            damaged.string() + ": no adapter, its metadata lacks \"lora\"");
  EXPECT_EQ(message_of<Error>([&] { save_lora(model, damaged); }),
            damaged.string() + ": the model has no adapter to save");
}

TEST(AdaptedModel, SameSeedSameAdapter) {
  const auto drawn = [](std::uint64_t seed) {
    const auto model = plain_model();
    add_lora(model, {}, seed);
    return nn::adapter_tensors(*model.module()).at("visual.transformer.resblocks.0.attn.lora.a");
  };
  EXPECT_TRUE(drawn(1).equal(drawn(1)));
  EXPECT_FALSE(drawn(1).equal(drawn(2)));
}

}  // namespace
}  // namespace vlalign::lora_test
