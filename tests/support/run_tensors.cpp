// Runs a model folder on tensors of a peer, for tests/peers/peer_agreement.py:
//   vlalign_run_tensors embed MODEL IN.safetensors OUT.safetensors [SAVE_FOLDER [open_clip|hf]]
//     in: pixels [N, 3, S, S] float32, tokens [N, L]; out: image_embedding, text_embedding [N, D], text_tokens and
//     text_hidden.0 [N, L, W] with zeros behind the texts
//   vlalign_run_tensors train MODEL IN.safetensors OUT.safetensors SAVE_FOLDER
//     in: pixels [steps, B, 3, S, S], tokens [steps, B, L]; out: losses [steps] of fp32 AdamW at learning rate 1e-5
//   vlalign_run_tensors tower PATH IN.safetensors OUT.safetensors SAVE_FOLDER
//     of an image tower alone, for tests/peers/image_tower_agreement.py; in: pixels; out: pooled, tokens, hidden.0 and
//     hidden.1, the last but one layer's
//   vlalign_run_tensors names CONFIG.json
//     prints the shape of each tensor by the peer's name, as JSON; no weights are made
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/tensor.h>

#include <exception>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "model/make_module.hpp"
#include "model/peers/peer_names.hpp"
#include "vlalign/core/io/safetensors.hpp"
#include "vlalign/loss/info_nce.hpp"
#include "vlalign/model/dual_encoder.hpp"
#include "vlalign/model/image_tower.hpp"
#include "vlalign/model/peers/read_config.hpp"
#include "vlalign/nn/dual_encoder.hpp"
#include "vlalign/train/optimizer.hpp"

namespace {

using vlalign::DualEncoder;
using vlalign::NamedTensors;

NamedTensors embed(const DualEncoder& model, const NamedTensors& in) {
  const at::NoGradGuard no_grad;
  const std::vector<std::int64_t> first{0};
  const auto text = model.text_features(in.at("tokens"), first);
  const auto seen = text.mask.unsqueeze(-1);
  return {{"image_embedding", model.encode_image(in.at("pixels"))},
          {"text_embedding", model.encode_text(in.at("tokens"))},
          {"text_tokens", text.tokens * seen},
          {"text_hidden.0", text.hidden.front() * seen}};
}

NamedTensors train(DualEncoder model, const NamedTensors& in) {
  constexpr double learning_rate = 1e-5;
  vlalign::Optimizer::NamedParameters parameters;
  for (const auto& item : model.module()->named_parameters()) parameters.emplace_back(item.key(), item.value());
  vlalign::Optimizer optimizer(parameters, {});
  model.train();
  std::vector<double> losses;
  for (std::int64_t step = 0; step < in.at("pixels").size(0); ++step) {
    const auto loss = vlalign::InfoNCE().forward(
        {model.encode_image(in.at("pixels")[step]), model.encode_text(in.at("tokens")[step]), model.logit_scale()});
    loss.backward();
    optimizer.step(learning_rate);
    optimizer.zero_grad();
    model.module()->clamp_logit_scale();
    losses.push_back(loss.item<double>());
  }
  model.train(false);
  return {{"losses", at::tensor(losses)}};
}

int run_tower(char** argv) {
  const auto tower = vlalign::ImageTower::load(argv[2]);
  const std::vector<std::int64_t> layers{0, -2};
  const auto features = tower.features(vlalign::read_safetensors(argv[3]).tensors.at("pixels"), layers);
  NamedTensors out{{"pooled", features.pooled}, {"hidden.0", features.hidden[0]}, {"hidden.1", features.hidden[1]}};
  if (features.tokens.defined()) out["tokens"] = features.tokens;
  for (auto& [name, tensor] : out) tensor = tensor.contiguous();
  vlalign::write_safetensors(argv[4], out);
  std::filesystem::create_directory(argv[5]);
  tower.write(argv[5]);
  return 0;
}

int print_names(const char* file) {
  const auto config = vlalign::read_model_config(file);
  const auto module = vlalign::make_module(config, std::nullopt);
  nlohmann::json shapes;
  for (const auto& [name, tensor] : vlalign::peer_tensors(*module, vlalign::naming_schemes(config, config.layout)))
    shapes[name] = tensor.sizes().vec();
  std::cout << shapes.dump() << '\n';
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const bool names = argc == 3 && argv[1] == std::string("names");
  if (argc < 5 && !names) return std::cerr << "usage: see the head of tests/support/run_tensors.cpp\n", 2;
  try {
    const std::string what = argv[1];
    if (names) return print_names(argv[2]);
    if (what == "tower" && argc == 6) return run_tower(argv);
    auto model = DualEncoder::load(argv[2]);
    const auto in = vlalign::read_safetensors(argv[3]).tensors;
    vlalign::write_safetensors(argv[4], what == "train" ? train(model, in) : embed(model, in));
    if (argc > 6)
      model.set_layout(argv[6] == std::string("hf") ? vlalign::Layout::hugging_face : vlalign::Layout::open_clip);
    if (argc > 5) model.save(argv[5]);
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
