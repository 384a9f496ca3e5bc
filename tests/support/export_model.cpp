// Exports a model and says what it computes here, for tests/peers/onnx_agreement.py:
//   vlalign_export_model MODEL OUT ROWS [episodes=DATA] [normalize] [raw] [tokens] [layers] [preprocess] [external]
//   [lora] [int8]
//     MODEL: a preset with random weights, a config's .json, a model folder, random:SEED for a small model of
//     tests/support/random_config.hpp, image:FOLDER for a small model with the image tower of that folder's config,
//     policy:FUSION:HEAD[:FOLDER] for a small policy, with FOLDER's image tower as its second, or a policy's folder
//     episodes=DATA: inputs of a policy are what the first recorded episode of DATA saw and felt, not numbers at
//     random, and policy.first_action [T, A] is what LivePolicy did at each step OUT/onnx: the export;
//     OUT/ours.safetensors: inputs of so many rows and the outputs, with the graph's name in front: image.pixels,
//     image.embedding, text.tokens, short.tokens (shorter texts for text.onnx), policy.actions,
//     ...
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/rand_like.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/randn_like.h>
#include <ATen/ops/stack.h>

#include <algorithm>
#include <exception>
#include <filesystem>
#include <functional>
#include <iostream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "model/make_module.hpp"
#include "nn/int8_product.hpp"
#include "support/random_config.hpp"
#include "tokenizers/clip_tokenizer.hpp"
#include "vla/policy_module.hpp"
#include "vla/small_policy.hpp"
#include "vlalign/core/io/safetensors.hpp"
#include "vlalign/core/normalize.hpp"
#include "vlalign/data/sources/episodes.hpp"
#include "vlalign/export/onnx.hpp"
#include "vlalign/image/transform.hpp"
#include "vlalign/model/lora.hpp"
#include "vlalign/model/peers/read_config.hpp"
#include "vlalign/model/presets.hpp"
#include "vlalign/model/quantize.hpp"
#include "vlalign/nn/dual_encoder.hpp"
#include "vlalign/vla/head/flow_matching_head.hpp"
#include "vlalign/vla/live_policy.hpp"

namespace {

namespace fs = std::filesystem;
using vlalign::DualEncoder;
using vlalign::Features;
using vlalign::NamedTensors;
using vlalign::OnnxOptions;
using vlalign::vla::Policy;

/// A fresh model is close to symmetric, and some of its branches give zeros: every parameter and statistic gets a value
/// of its own.
void disturb(torch::nn::Module& module) {
  const at::NoGradGuard no_graph;
  for (const auto& item : module.named_parameters())
    if (item.value().dim() > 0) item.value().add_(at::randn_like(item.value()), 0.02);
  for (const auto& item : module.named_buffers()) {
    if (item.key().ends_with("running_mean")) item.value().add_(at::randn_like(item.value()), 0.05);
    if (item.key().ends_with("running_var")) item.value().mul_(at::rand_like(item.value()) * 0.2 + 1);
  }
}

/// A model of random weights, with a tokenizer of bytes beside it.
DualEncoder of_config(vlalign::ModelConfig config) {
  config.text.own_vocabulary = true;
  config.text.cleaning.clear();
  config.text.end_id = 513;
  if (config.text.pad_id > 513) config.text.pad_id = 0;
  config.layout = vlalign::Layout::open_clip;
  const auto tokenizer = std::make_shared<vlalign::ClipTokenizer>(
      std::vector<vlalign::ClipTokenizer::Merge>{}, vlalign::ClipTokenizerOptions{.pad_id = config.text.pad_id});
  DualEncoder model(vlalign::make_module(config, 0), config, tokenizer);
  disturb(*model.module());
  model.train(false);
  return model;
}

DualEncoder model_of(const std::string& name) {
  constexpr std::string_view random = "random:";
  if (name.starts_with(random)) return of_config(vlalign::test::random_config(std::stoull(name.substr(random.size()))));
  constexpr std::string_view image = "image:";
  if (name.starts_with(image))
    return of_config(vlalign::with_image_tower(vlalign::test::towers().config(), name.substr(image.size())));
  if (name.ends_with(".json")) return of_config(vlalign::read_model_config(name));
  if (fs::is_directory(name)) return DualEncoder::load(name);
  return of_config(vlalign::preset(name));
}

Policy policy_of(const std::string& name) {
  if (!name.starts_with("policy:")) return Policy::load(name);
  std::istringstream words(name);
  std::string kind, fusion, head, second;
  std::getline(words, kind, ':'), std::getline(words, fusion, ':'), std::getline(words, head, ':');
  std::getline(words, second);
  auto config = vlalign::test::config_of(fusion, head);
  config.action_low = {-2, 0}, config.action_high = {3, 5};
  config.state_mean = {1, 2, 3, 4}, config.state_std = {2, 1, 0.5, 3};
  if (config.fusion == "film") config.film = {0};
  auto towers = vlalign::test::towers();
  if (!second.empty()) {  // of 3 x 3 patches, as the encoder then
    auto model = towers.config();
    model.vision = vlalign::VitConfig{.patch_size = 16, .width = 32, .layers = 1, .head_width = 16};
    model.preprocess.image_size = 48;
    towers = DualEncoder::create(model, towers.tokenizer(), 1);
    config.second_tower = vlalign::ImageTower::load(second);
  }
  auto policy = Policy::create(towers, config);
  disturb(*policy.module());
  policy.train(false);
  return policy;
}

/// int64 [rows, length] with an end somewhere and padding behind it.
at::Tensor random_texts(const DualEncoder& model, std::int64_t rows, std::int64_t length) {
  const auto& tokenizer = *model.tokenizer();
  auto tokens = at::randint(tokenizer.vocab_size(), {rows, length}, at::kLong);
  for (std::int64_t row = 0; row < rows; ++row) {
    const auto end = (row * 7 + length - 1) % length;
    tokens[row][end] = tokenizer.end_id();
    if (end + 1 < length) tokens[row].narrow(0, end + 1, length - end - 1).fill_(tokenizer.pad_id());
  }
  return tokens;
}

at::Tensor random_pixels(const DualEncoder& model, std::int64_t rows, const OnnxOptions& options) {
  const std::int64_t side = model.config().preprocess.image_size;
  return options.normalize ? at::randint(256, {rows, 3, side, side}, at::kByte) : at::randn({rows, 3, side, side});
}

at::Tensor embedding_of(const Features& features, const std::shared_ptr<vlalign::nn::Projection>& projection,
                        const OnnxOptions& options) {
  return options.raw ? vlalign::nn::DualEncoderImpl::projected(features.pooled, projection) : features.embedding;
}

void add_outputs(NamedTensors& all, const std::string& graph, const Features& features, const at::Tensor& embedding,
                 const OnnxOptions& options) {
  const auto add = [&](const std::string& name, const at::Tensor& tensor) {
    all[graph + "." + name] = tensor.contiguous();
  };
  add("embedding", embedding);
  if (options.tokens) add("token_features", graph == "image" ? vlalign::places(features) : features.tokens);
  if (options.tokens && graph != "image") add("mask", features.mask);
  for (std::size_t i = 0; i < features.hidden.size(); ++i)
    add("hidden." + std::to_string(options.layers[i]), features.hidden[i]);
}

/// Pictures of several sizes, waves with noise over them, and what preprocessing makes of them here.
void add_pictures(NamedTensors& all, const vlalign::Preprocess& how) {
  int number = 0;
  for (const auto& [height, width] :
       {std::pair{480, 640}, std::pair{333, 500}, std::pair{1000, 224}, std::pair{90, 71}}) {
    const auto wave = (at::arange(height).unsqueeze(1) * 0.05 + at::arange(width) * 0.03).sin().unsqueeze(2) * 60 + 128;
    const auto picture = (wave + at::randn({height, width, 3}) * 30).clamp(0, 255).to(at::kByte).contiguous();
    vlalign::Image image{.width = width, .height = height, .rgb = {}};
    image.rgb.assign(picture.data_ptr<std::uint8_t>(), picture.data_ptr<std::uint8_t>() + picture.numel());
    auto made = vlalign::preprocess(image, how);
    const auto bytes = at::from_blob(made.rgb.data(), {1, made.height, made.width, 3}, at::kByte).permute({0, 3, 1, 2});
    const auto name = "preprocess." + std::to_string(number++) + ".";
    all[name + "picture"] = picture;
    all[name + "pixels"] = vlalign::normalize_pixels(bytes, how).contiguous();
  }
}

NamedTensors outputs_of(const DualEncoder& model, std::int64_t rows, const OnnxOptions& options) {
  NamedTensors all;
  if (options.preprocess) add_pictures(all, model.config().preprocess);
  const auto pixels = random_pixels(model, rows, options);
  const auto image = model.image_features(pixels, options.layers, options.precision);
  all["image.pixels"] = pixels;
  add_outputs(all, "image", image, embedding_of(image, model.module()->image_projection, options), options);
  const auto context = model.config().text.context_length;
  for (const auto& [graph, length] :
       {std::pair{"text", context}, std::pair{"short", std::max<std::int64_t>(1, context / 3)}}) {
    const auto tokens = random_texts(model, rows, length);
    const auto text = model.text_features(tokens, options.layers, options.precision);
    all[std::string(graph) + ".tokens"] = tokens;
    add_outputs(all, graph, text, embedding_of(text, model.module()->text_projection, options), options);
  }
  return all;
}

/// Adapters that change what the model gives.
void add_adapters(const DualEncoder& model) {
  vlalign::add_lora(model, {.rank = 4});
  disturb(*model.module());
}

/// Prepared for int8 with pictures and texts at random.
void prepare(const DualEncoder& model, const OnnxOptions& options) {
  if (options.precision != vlalign::Precision::int8 || !model.int8_columns().empty()) return;
  constexpr std::int64_t pairs = 32;
  const auto tokens = random_texts(model, pairs, model.config().text.context_length);
  vlalign::quantize(model, random_pixels(model, pairs, options), tokens, {.cosine = 0});
}

NamedTensors outputs_of(const Policy& policy, std::int64_t rows, const OnnxOptions& options) {
  const auto encoder = policy.encoder();
  const auto pixels = random_pixels(encoder, rows, options);
  const auto tokens = random_texts(encoder, rows, encoder.config().text.context_length - 1);
  NamedTensors all{{"policy.pixels", pixels}, {"policy.tokens", tokens}};
  at::Tensor state;
  if (policy.config().state > 0) all["policy.state"] = state = at::randn({rows, policy.config().state});
  const auto module = std::dynamic_pointer_cast<vlalign::vla::PolicyModule>(policy.module());
  const auto* flow = dynamic_cast<const vlalign::vla::FlowMatchingHead*>(module->head.get());
  if (!flow) {
    all["policy.actions"] = policy.act(pixels, policy.read(tokens, options.precision), state, options.precision);
    return all;
  }
  const auto ready = vlalign::normalize_pixels(pixels, encoder.config().preprocess);
  const vlalign::nn::Int8Mode mode(options.precision);
  const auto features = module->features(ready, policy.read(tokens, options.precision), state, at::kFloat);
  const auto noise = at::randn({rows, flow->shape().horizon, flow->shape().dims});
  all["policy.noise"] = noise;
  all["policy.actions"] = module->from_head(flow->predict_from(features, noise));
  return all;
}

/// What a control loop does along the first episode.
NamedTensors outputs_of_episode(const Policy& policy, const std::string& location) {
  const auto source = vlalign::open_episodes(location);
  const auto& episode = source->episode(0);
  const auto encoder = policy.encoder();
  const auto& how = encoder.config().preprocess;
  const auto& told = episode.instructions.front();
  vlalign::vla::LivePolicy robot(policy);
  robot.set_instruction(told);
  std::vector<at::Tensor> pixels, actions;
  for (std::int64_t step = 0; step < episode.states.size(0); ++step) {
    const auto frame = source->frame(0, step, how.pixels_as);
    auto ready = vlalign::preprocess(frame, how);
    const auto bytes = at::from_blob(ready.rgb.data(), {ready.height, ready.width, 3}, at::kByte).permute({2, 0, 1});
    pixels.push_back(bytes.clone());
    const auto state = episode.states[step].contiguous();
    const auto action = at::empty({episode.actions.size(1)});
    robot.act(vlalign::ImageView(frame), {state.data_ptr<float>(), static_cast<std::size_t>(state.numel())},
              {action.data_ptr<float>(), static_cast<std::size_t>(action.numel())});
    actions.push_back(action);
  }
  const auto steps = episode.states.size(0);
  const auto tokens = vlalign::tokenize(*encoder.tokenizer(), std::vector{told}, encoder.config().text.context_length);
  return {{"policy.pixels", vlalign::normalize_pixels(at::stack(pixels), how).contiguous()},
          {"policy.tokens", tokens.expand({steps, -1}).contiguous()},
          {"policy.state", episode.states.contiguous()},
          {"policy.first_action", at::stack(actions)}};
}

OnnxOptions options_of(const std::set<std::string>& words) {
  OnnxOptions options{.normalize = words.contains("normalize"),
                      .raw = words.contains("raw"),
                      .tokens = words.contains("tokens"),
                      .preprocess = words.contains("preprocess")};
  if (words.contains("layers")) options.layers = {-1, 0};
  if (words.contains("external")) options.external_above = 0;
  if (words.contains("int8")) options.precision = vlalign::Precision::int8;
  return options;
}

template <typename Exported>
void write(const Exported& exported, const fs::path& out, const OnnxOptions& options,
           const std::function<NamedTensors()>& outputs) {
  vlalign::export_onnx(exported, out / "onnx", options);
  const at::NoGradGuard no_graph;
  vlalign::write_safetensors(out / "ours.safetensors", outputs());
}

/// The place of the episodes, where the words name one.
std::string episodes_of(const std::set<std::string>& words) {
  constexpr std::string_view key = "episodes=";
  for (const auto& word : words)
    if (word.starts_with(key)) return word.substr(key.size());
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) return std::cerr << "usage: see the head of tests/support/export_model.cpp\n", 2;
  try {
    const std::string name = argv[1];
    const std::set<std::string> words(argv + 4, argv + argc);
    const auto options = options_of(words);
    const bool is_policy = name.starts_with("policy:") || fs::exists(fs::path(name) / "policy.json");
    if (is_policy) {
      const auto policy = policy_of(name);
      prepare(policy.encoder(), options);
      const auto episodes = episodes_of(words);
      write(policy, argv[2], options, [&] {
        return episodes.empty() ? outputs_of(policy, std::stoll(argv[3]), options)
                                : outputs_of_episode(policy, episodes);
      });
    } else {
      const auto model = model_of(name);
      if (words.contains("lora")) add_adapters(model);
      prepare(model, options);
      write(model, argv[2], options, [&] { return outputs_of(model, std::stoll(argv[3]), options); });
    }
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
