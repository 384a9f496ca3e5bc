// What save() writes is what load() gives, or save() refuses.
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>
#include <map>
#include <optional>

#include "config/config_fields.hpp"
#include "core/check.hpp"
#include "model/peers/config_json.hpp"
#include "model/peers/peer_names.hpp"
#include "support/random_config.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/model/dual_encoder.hpp"
#include "vlalign/model/presets.hpp"
#include "vlalign/nn/dual_encoder.hpp"

namespace vlalign::random_configs_test {
namespace {

namespace fs = std::filesystem;
using test::TempFolder;

std::int64_t number_from(const char* variable, std::int64_t fallback) {
  const char* text = std::getenv(variable);
  return text ? std::stoll(text) : fallback;
}

void expect_same(const DualEncoder& model, const DualEncoder& back) {
  const auto lost = first_difference(model.config(), back.config());
  EXPECT_FALSE(lost.has_value()) << lost->name << " " << lost->a << " came back as " << lost->b;
  const auto ours = peer_tensors(*model.module(), {}), theirs = peer_tensors(*back.module(), {});
  ASSERT_EQ(ours.size(), theirs.size());
  for (const auto& [name, tensor] : ours) EXPECT_TRUE(tensor.equal(theirs.at(name))) << name;

  const at::NoGradGuard no_graph;
  const auto side = model.config().preprocess.image_size;
  const auto length = model.config().text.context_length;
  const auto pixels = at::randn({2, 3, side, side});
  const auto tokens = at::randint(model.tokenizer()->vocab_size(), {2, length - 1}, at::kLong);
  EXPECT_TRUE(model.encode_image(pixels).equal(back.encode_image(pixels)));
  EXPECT_TRUE(model.encode_text(tokens).equal(back.encode_text(tokens)));
  for (const auto* caption : {"A cup &amp; a  plate", "\u00e9t\u00c3\u00a9"})
    EXPECT_EQ(model.tokenizer()->encode(caption, length), back.tokenizer()->encode(caption, length));
}

/// A message without what differs from model to model.
std::string reason_of(std::string message) {
  message.erase(0, message.find(": ") + 2);
  for (auto& letter : message) letter = letter >= '0' && letter <= '9' ? '#' : letter;
  return message;
}

TEST(RandomConfigs, ComeBackFromTheFolderOrAreRefusedBeforeAnythingIsWritten) {
  const auto count = number_from("VLALIGN_RANDOM_CONFIGS", 60), seed = number_from("VLALIGN_RANDOM_SEED", 1);
  std::map<std::string, int> not_made, refused, kept;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto number = static_cast<std::uint64_t>(1000 * seed + i);
    SCOPED_TRACE(number);
    const TempFolder folder;
    const auto path = folder.path() / "model";
    std::optional<DualEncoder> model;
    try {
      model = DualEncoder::create(test::random_config(number), test::random_tokenizer(number), number);
      model->train(false);
    } catch (const Error& error) {
      ++not_made[reason_of(error.what())];
      continue;
    }
    const auto& config = model->config();
    try {
      model->save(path);
    } catch (const Error& error) {
      ++refused[reason_of(error.what())];
      EXPECT_TRUE(fs::is_empty(folder.path()));
      continue;
    }
    ++kept[(config.layout == Layout::open_clip ? "open_clip " : "Hugging Face ") + family(config)];
    expect_same(*model, DualEncoder::load(path));
  }
  // Of every family that a peer has, in its layout.
  for (const auto* kind :
       {"open_clip CLIP", "open_clip custom", "Hugging Face CLIP", "Hugging Face SigLIP", "Hugging Face ALIGN"})
    EXPECT_GT(kept[kind], 0) << kind;
  if (!std::getenv("VLALIGN_RANDOM_CONFIGS")) return;
  for (const auto& [title, counts] :
       {std::pair("kept", kept), std::pair("refused", refused), std::pair("not made", not_made)})
    for (const auto& [what, times] : counts) std::cout << fmt::format("{:8} {:4} {}\n", title, times, what);
}

/// An option, and whether each peer's config class has a place for it: open_clip's CLIPVisionCfg, CLIPTextCfg, CLIP and
/// PreprocessCfg; transformers' CLIPVisionConfig, CLIPTextConfig, CLIPConfig and CLIPImageProcessor. Where only ours
/// has (a stem, the spread of token embeddings, patch dropout to transformers), no number of the peer's changes.
struct Option {
  const char* name;
  void (*set)(ModelConfig&);
  bool open_clip, hugging_face;
};

VitConfig& vit(ModelConfig& config) { return std::get<VitConfig>(config.vision); }

const std::vector<Option> options{
    {"none", [](ModelConfig&) {}, true, true},
    {"patch_size", [](ModelConfig& c) { vit(c).patch_size = 4; }, true, true},
    {"stem", [](ModelConfig& c) { vit(c).stem = {8}; }, true, false},
    {"layers", [](ModelConfig& c) { vit(c).layers = c.text.layers = 0; }, true, true},
    {"head_width", [](ModelConfig& c) { vit(c).head_width = 16; }, true, true},
    {"mlp_ratio", [](ModelConfig& c) { vit(c).mlp_ratio = c.text.mlp_ratio = 3.7362; }, true, true},
    {"both quick", [](ModelConfig& c) { vit(c).activation = c.text.activation = Activation::quick_gelu; }, true, true},
    {"both tanh", [](ModelConfig& c) { vit(c).activation = c.text.activation = Activation::gelu_tanh; }, true, true},
    {"image quick", [](ModelConfig& c) { vit(c).activation = Activation::quick_gelu; }, false, true},
    {"text quick", [](ModelConfig& c) { c.text.activation = Activation::quick_gelu; }, false, true},
    {"image tanh", [](ModelConfig& c) { vit(c).activation = Activation::gelu_tanh; }, true, true},
    {"text tanh", [](ModelConfig& c) { c.text.activation = Activation::gelu_tanh; }, true, true},
    {"image eps", [](ModelConfig& c) { vit(c).norm_eps = 1e-6; }, true, true},
    {"text eps", [](ModelConfig& c) { c.text.norm_eps = 1e-6; }, true, true},
    {"average", [](ModelConfig& c) { vit(c).pool = VitConfig::Pool::average; }, true, false},
    {"attentional pool", [](ModelConfig& c) { vit(c).pool = VitConfig::Pool::query; }, true, false},
    {"attention head", [](ModelConfig& c) { vit(c).pool = VitConfig::Pool::attention; }, false, false},
    {"no class token", [](ModelConfig& c) { vit(c).pool = VitConfig::Pool::average, vit(c).class_token = false; },
     false, false},
    {"patch_bias", [](ModelConfig& c) { vit(c).patch_bias = true; }, false, false},
    {"ln_pre", [](ModelConfig& c) { vit(c).ln_pre = false; }, true, false},
    {"norm_after_pool", [](ModelConfig& c) { vit(c).norm_after_pool = true; }, true, false},
    {"positions of sines", [](ModelConfig& c) { vit(c).positions = VitConfig::Positions::sines; }, true, false},
    {"image layer_scale", [](ModelConfig& c) { vit(c).layer_scale = 0.1; }, true, false},
    {"patch_dropout", [](ModelConfig& c) { vit(c).patch_dropout = 0.5; }, true, true},
    {"unused queries", [](ModelConfig& c) { vit(c).pool_queries = 7, vit(c).pool_heads = 4; }, true, true},
    {"end token", [](ModelConfig& c) { c.text.pool = TextConfig::Pool::end_token, c.text.end_id = 513; }, true, true},
    // transformers takes 2 for configs that are older than a repair, and pools at the largest id.
    {"end token 2", [](ModelConfig& c) { c.text.pool = TextConfig::Pool::end_token; }, true, true},  // MetaClip2Model
    {"first", [](ModelConfig& c) { c.text.pool = TextConfig::Pool::first; }, true, false},
    {"last", [](ModelConfig& c) { c.text.pool = TextConfig::Pool::last; }, true, false},
    {"mean", [](ModelConfig& c) { c.text.pool = TextConfig::Pool::mean; }, true, false},
    {"causal", [](ModelConfig& c) { c.text.causal = false; }, true, false},
    {"pad_id", [](ModelConfig& c) { c.text.pad_id = 9; }, true, true},
    {"text layer_scale", [](ModelConfig& c) { c.text.layer_scale = 0.1; }, true, false},
    {"token_std", [](ModelConfig& c) { c.text.token_std = 0.5; }, true, true},
    {"class_embedding", [](ModelConfig& c) { c.text.class_embedding = true; }, true, false},
    {"custom_text", [](ModelConfig& c) { c.custom_text = true; }, true, true},
    {"image projection bias", [](ModelConfig& c) { c.image_projection.bias = true; }, false, false},
    {"text projection bias", [](ModelConfig& c) { c.text_projection.bias = true; }, true, false},
    {"no text projection", [](ModelConfig& c) { c.text_projection.present = false; }, true, false},
    {"no image projection", [](ModelConfig& c) { c.image_projection.present = false; }, false, false},
    {"temperature", [](ModelConfig& c) { c.scale.temperature = true; }, true, false},
    {"scale", [](ModelConfig& c) { c.scale.initial = 100.0 / 3; }, true, true},
    {"bias", [](ModelConfig& c) { c.scale.bias = -3; }, true, false},
    {"resize_size", [](ModelConfig& c) { c.preprocess.resize_size = 40; }, false, true},
    {"the same resize_size", [](ModelConfig& c) { c.preprocess.resize_size = 32; }, true, true},
    {"squash", [](ModelConfig& c) { c.preprocess.resize = Preprocess::Resize::squash; }, true, true},
    {"bilinear", [](ModelConfig& c) { c.preprocess.interpolation = Interpolation::bilinear; }, true, true},
    {"mean and std", [](ModelConfig& c) { c.preprocess.mean[1] = 0.1, c.preprocess.std[2] = 0.7; }, true, true},
    {"the peer's pixels", [](ModelConfig& c) { c.preprocess.pixels_as = PixelsAs::peer; }, true, true},
    {"the other rounding", [](ModelConfig& c) { c.preprocess.crop_rounds_down = !c.preprocess.crop_rounds_down; },
     false, false},
};

TEST(EachOption, IsHeldByTheLayoutsWhosePeerHasAPlaceForIt) {
  ModelConfig base;
  base.embed_dim = 16;
  base.vision = VitConfig{.patch_size = 8, .width = 16, .layers = 1, .head_width = 8};
  base.text = {.context_length = 8, .vocab_size = 514, .width = 16, .heads = 2, .layers = 1};
  base.preprocess.image_size = 32;
  for (const auto layout : {Layout::open_clip, Layout::hugging_face}) {
    for (const auto& option : options) {
      auto config = with_layout(base, layout);
      option.set(config);
      config = with_layout(config, layout);
      std::string fault;
      try {
        check_comes_back(config);
      } catch (const Error& error) {
        fault = error.what();
      }
      const bool open_clip = layout == Layout::open_clip;
      EXPECT_EQ(fault.empty(), open_clip ? option.open_clip : option.hugging_face)
          << option.name << " in " << (open_clip ? "open_clip's" : "Hugging Face's") << " layout: " << fault;
    }
  }
}

TEST(EachOption, ThatIsLostIsNamedWithTheLayoutThatHoldsIt) {
  auto config = preset("ViT-B-32");
  config.text.activation = Activation::quick_gelu;
  EXPECT_EQ(test::message_of<Error>([&] { check_comes_back(config); }),
            "model ViT-B-32: open_clip's layout can't hold it: vision.activation gelu would come back as quick_gelu; "
            "Hugging Face's can");
  config = preset("ViT-B-32");
  config.preprocess.resize_size = 256;
  std::get<VitConfig>(config.vision).layer_scale = 0.1;
  EXPECT_NE(test::message_of<Error>([&] {
              check_comes_back(config);
            }).find("preprocess.resize_size 256 would come back as 0; Hugging Face's can't either"),
            std::string::npos);
}

TEST(SiglipConfig, KeepsAnotherStartInHuggingFacesLayout) {
  auto config = with_layout(preset("ViT-B-16-SigLIP"), Layout::hugging_face);
  config.scale = {.initial = 5, .bias = -8};
  check_comes_back(config);
}

}  // namespace
}  // namespace vlalign::random_configs_test
