#include "vlalign/vla/policy.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "core/check.hpp"
#include "core/files.hpp"
#include "core/folders.hpp"
#include "core/on_device.hpp"
#include "core/parse_json.hpp"
#include "core/precision.hpp"
#include "model/finite.hpp"
#include "model/json_section.hpp"
#include "model/model_folder.hpp"
#include "model/peer_names.hpp"
#include "policy_module.hpp"
#include "vlalign/core/random.hpp"
#include "vlalign/model/safetensors.hpp"
#include "vlalign/vla/fusion/make_fusion.hpp"
#include "vlalign/vla/head/make_head.hpp"

namespace vlalign::vla {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

json json_of(const PolicyConfig& c) {
  auto phrases = json::array();
  for (const auto& phrase : c.phrases) phrases.push_back({{"text", phrase.text}, {"actions", phrase.actions}});
  return {{"fusion", c.fusion},
          {"head", c.head},
          {"horizon", c.actions.horizon},
          {"action_dims", c.actions.dims},
          {"state_dims", c.state},
          {"width", c.width},
          {"maps", c.maps},
          {"film", c.film},
          {"weighted", c.weighted},
          {"phrases", phrases},
          {"state_mean", c.state_mean},
          {"state_std", c.state_std},
          {"action_low", c.action_low},
          {"action_high", c.action_high}};
}

PolicyConfig read_config(const fs::path& file) {
  const auto value = parse_json(read_file(file), file.string());
  JsonSection section(value, file.string());
  PolicyConfig c;
  c.fusion = section.require<std::string>("fusion");
  c.head = section.require<std::string>("head");
  c.actions = {.horizon = section.require_positive("horizon"), .dims = section.require_positive("action_dims")};
  c.state = section.require<std::int64_t>("state_dims");
  c.width = section.require_positive("width");
  c.maps = section.require<std::vector<std::int64_t>>("maps");
  c.film = section.require<std::vector<std::int64_t>>("film");
  c.weighted = section.require<bool>("weighted");
  c.state_mean = section.require<std::vector<float>>("state_mean");
  c.state_std = section.require<std::vector<float>>("state_std");
  c.action_low = section.require<std::vector<float>>("action_low");
  c.action_high = section.require<std::vector<float>>("action_high");
  for (const auto& phrase : section.require<std::vector<json>>("phrases")) {
    JsonSection one(phrase, file.string() + ".phrases");
    c.phrases.push_back({one.require<std::string>("text"), one.require<std::vector<float>>("actions")});
  }
  return c;
}

FusionSizes sizes_of(const TowerWidths& towers, const PolicyConfig& config) {
  return {.visual_tokens = towers.visual_tokens,
          .pooled_visual = config.weighted && towers.joint > 0 ? towers.visual_tokens : towers.embedding,
          .maps = towers.maps,
          .text_tokens = towers.text_tokens,
          .pooled_text = towers.embedding,
          .joint = towers.joint,
          .state = config.state,
          .width = config.width};
}

/// The phrases' embeddings and actions between -1 and 1.
ActionBank bank_of(const DualEncoder& encoder, const PolicyConfig& config) {
  if (config.phrases.empty()) return {};
  std::vector<std::string> texts;
  std::vector<at::Tensor> actions;
  const auto& [horizon, dims] = config.actions;
  for (const auto& phrase : config.phrases) {
    check(std::ssize(phrase.actions) == horizon * dims, "[Policy] phrase \"{}\": expected {} x {} actions, got {}",
          phrase.text, horizon, dims, phrase.actions.size());
    texts.push_back(phrase.text);
    actions.push_back(at::tensor(phrase.actions).view({horizon, dims}));
  }
  const at::NoGradGuard no_graph;
  const auto tokens = tokenize(*encoder.tokenizer(), texts, encoder.config().text.context_length);
  return {encoder.encode_text(tokens).cpu(), at::stack(actions)};
}

/// What write() makes.
std::string policy_misfit(const fs::path& folder) {
  for (const auto& path : entries_of(folder)) {
    const auto name = path.filename().string();
    const bool encoder = name == "encoder" && is_folder(path);
    const auto misfit = encoder ? replaceable_model().misfit(path) : "";
    if (!misfit.empty()) return "its encoder is no model folder, " + misfit;
    if (!encoder && (is_folder(path) || (name != "policy.json" && name != "policy.safetensors")))
      return name + " is in it";
  }
  return is_there(folder / "policy.json") ? "" : "no policy.json is in it";
}

/// The policy's own tensors, without the encoder's: views.
NamedTensors own_tensors(const PolicyModule& module) {
  NamedTensors own;
  const auto add = [&](const auto& items) {
    for (const auto& item : items) {
      if (!item.key().starts_with("encoder.")) own[item.key()] = item.value().detach();
    }
  };
  add(module.named_parameters());
  add(module.named_buffers());
  return own;
}

std::shared_ptr<PolicyModule> make_module(const DualEncoder& encoder, std::shared_ptr<Fusion> fusion,
                                          std::shared_ptr<ActionHead> head, const PolicyConfig& config,
                                          const TowerWidths& widths, std::uint64_t seed) {
  constexpr std::uint64_t purpose = 0x706f6c696379;  // apart from the encoder's own draws
  nn::Initializer initializer(Rng({seed, purpose}).next());
  auto module =
      std::make_shared<PolicyModule>(encoder, std::move(fusion), std::move(head), config, widths, initializer);
  module->to(encoder.device());
  return module;
}

}  // namespace

std::string to_json(const PolicyConfig& config) { return json_of(config).dump(2); }

struct Policy::State {
  DualEncoder encoder;
  PolicyConfig config;
  std::shared_ptr<PolicyModule> module;
};

Policy::Policy(std::shared_ptr<State> state) : state_(std::move(state)) {}

Policy::Policy(DualEncoder encoder, std::shared_ptr<Fusion> fusion, std::shared_ptr<ActionHead> head,
               const PolicyConfig& config, std::uint64_t seed) {
  const auto widths = tower_widths(encoder, config.maps);
  auto module = make_module(encoder, std::move(fusion), std::move(head), config, widths, seed);
  state_ = std::make_shared<State>(State{std::move(encoder), config, std::move(module)});
}

Policy Policy::create(DualEncoder encoder, const PolicyConfig& config, std::uint64_t seed) {
  nn::Initializer initializer(seed);
  const auto widths = tower_widths(encoder, config.maps);
  auto fusion = make_fusion(config.fusion, sizes_of(widths, config), initializer);
  auto head = make_head(config.head, config.width, config.actions, bank_of(encoder, config), initializer);
  auto module = make_module(encoder, std::move(fusion), std::move(head), config, widths, seed);
  if (const auto retrieval = std::dynamic_pointer_cast<RetrievalHead>(module->head)) {
    const at::NoGradGuard no_graph;
    retrieval->actions.copy_(module->to_head(retrieval->actions));
  }
  return Policy(std::make_shared<State>(State{std::move(encoder), config, std::move(module)}));
}

Policy Policy::load(const fs::path& folder) {
  PolicyConfig config;
  std::optional<DualEncoder> encoder;
  NamedTensors own;
  read_whole_folder(folder, [&](const fs::path& place) {
    config = read_config(place / "policy.json");
    encoder = DualEncoder::load(place / "encoder");
    own = read_safetensors(place / "policy.safetensors").tensors;
  });
  auto policy = create(*encoder, config);
  assign_tensors(own_tensors(*policy.state_->module), own, (folder / "policy.safetensors").string());
  policy.train(false);
  return policy;
}

void Policy::save(const fs::path& folder) const {
  static const Replaceable replaceable{"a policy's folder", policy_misfit};
  write_folder_atomically(folder, replaceable, [this](const fs::path& place) { write(place); });
}

void Policy::write(const fs::path& folder) const {
  const auto own = own_tensors(*state_->module);
  check_finite(own, "[Policy::save]");
  state_->encoder.save(folder / "encoder");
  write_safetensors(folder / "policy.safetensors", own, {{"format", "pt"}});
  write_file_atomically(folder / "policy.json", to_json(state_->config) + "\n");
}

void Policy::load_weights(const fs::path& folder) {
  NamedTensors stored;
  FolderWeights encoder;
  read_whole_folder(folder, [&](const fs::path& place) {
    stored = read_safetensors(place / "policy.safetensors").tensors;
    encoder = read_folder_weights(place / "encoder");
  });
  const auto own = own_tensors(*state_->module);
  NamedTensors before;
  for (const auto& [name, tensor] : own) before[name] = tensor.clone();
  const auto file = (folder / "policy.safetensors").string();
  assign_tensors(own, stored, file);
  try {
    const auto& [layout, from] = encoder;
    assign_model(*state_->encoder.module(), state_->encoder.config(), layout, from.tensors, from.where);
  } catch (...) {
    const at::NoGradGuard no_graph;
    for (const auto& [name, tensor] : own) tensor.copy_(before.at(name));
    throw;
  }
}

at::Tensor Policy::loss(const PolicyBatch& batch, Precision precision, const at::Generator& generator) const {
  auto& module = *state_->module;
  const auto text = read(batch.tokens, precision);
  const auto pixels = normalize_pixels(on_device(batch.pixels, device()), state_->encoder.config().preprocess);
  const auto features = module.features(pixels, text, batch.state, dtype_of(precision));
  return module.head->loss(features, module.to_head(on_device(batch.actions, device())), batch.mask, generator);
}

Features Policy::read(const at::Tensor& tokens, Precision precision) const {
  return state_->encoder.text_features(tokens, {}, precision);
}

at::Tensor Policy::act(const at::Tensor& pixels, const Features& instruction, const at::Tensor& state,
                       Precision precision, const at::Generator& generator) const {
  const at::NoGradGuard no_graph;
  auto& module = *state_->module;
  const auto normalized = normalize_pixels(on_device(pixels, device()), state_->encoder.config().preprocess);
  const auto features = module.features(normalized, instruction, state, dtype_of(precision));
  return module.from_head(module.head->predict(features, generator));
}

void Policy::train(bool on) { state_->module->train(on); }
void Policy::to(c10::Device device) { state_->module->to(device); }
c10::Device Policy::device() const { return state_->encoder.device(); }

const PolicyConfig& Policy::config() const { return state_->config; }
DualEncoder Policy::encoder() const { return state_->encoder; }
std::shared_ptr<torch::nn::Module> Policy::module() const { return state_->module; }

}  // namespace vlalign::vla
