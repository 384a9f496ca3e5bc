#include "vlalign/vla/policy.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <optional>

#include "core/check.hpp"
#include "core/finite.hpp"
#include "core/io/files.hpp"
#include "core/io/folders.hpp"
#include "core/on_device.hpp"
#include "core/precision.hpp"
#include "model/int8_mode.hpp"
#include "model/peers/model_folder.hpp"
#include "model/peers/peer_names.hpp"
#include "model/peers/tower_source.hpp"
#include "nn/finite_weights.hpp"
#include "vla/check_shape.hpp"
#include "vla/policy_config.hpp"
#include "vla/policy_folder.hpp"
#include "vla/policy_module.hpp"
#include "vlalign/core/io/safetensors.hpp"
#include "vlalign/core/random.hpp"
#include "vlalign/vla/fusion/make_fusion.hpp"
#include "vlalign/vla/head/make_head.hpp"

namespace vlalign::vla {
namespace {

namespace fs = std::filesystem;

FusionSizes sizes_of(const TowerWidths& towers, const PolicyConfig& config) {
  const auto tokens = towers.visual_tokens + towers.second;
  return {.visual_tokens = tokens,
          .pooled_visual = config.weighted && towers.joint > 0 ? tokens : towers.embedding,
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
    texts.push_back(phrase.text);
    actions.push_back(at::tensor(phrase.actions).view({horizon, dims}));
  }
  const at::NoGradGuard no_graph;
  const auto tokens = tokenize(*encoder.tokenizer(), texts, encoder.config().text.context_length);
  return {encoder.encode_text(tokens).cpu(), at::stack(actions)};
}

/// Throws Error unless parts of one's own are made for these towers and this configuration.
void check_parts(const Fusion* fusion, const ActionHead* head, const TowerWidths& towers, const PolicyConfig& config) {
  check(fusion && head, "[Policy] a fusion or a head is null");
  const auto agree = [](bool read, const char* what, std::int64_t part, std::int64_t given) {
    check(!read || part == given, "[Policy] {}: the fusion takes {}, it would be given {}", what, part, given);
  };
  const auto& needs = fusion->needs();
  const auto& sizes = fusion->sizes();
  const auto given = sizes_of(towers, config);
  agree(needs.visual_tokens, "visual_tokens", sizes.visual_tokens, given.visual_tokens);
  agree(needs.pooled_visual, "pooled_visual", sizes.pooled_visual, given.pooled_visual);
  agree(needs.text_tokens, "text_tokens", sizes.text_tokens, given.text_tokens);
  agree(needs.pooled_text, "pooled_text", sizes.pooled_text, given.pooled_text);
  agree(needs.joint, "joint", sizes.joint, given.joint);
  agree(true, "state", sizes.state, given.state);
  check(!needs.maps || sizes.maps == given.maps, "[Policy] maps: the fusion takes {}, it would be given {}", sizes.maps,
        given.maps);
  check(fusion->width() == head->width(), "[Policy] the fusion's width is {}, the head's {}", fusion->width(),
        head->width());
  check(fusion->width() == config.width, "[Policy] width: the fusion's and the head's is {}, the configuration's {}",
        fusion->width(), config.width);
  const auto& shape = head->shape();
  check(shape.horizon == config.actions.horizon && shape.dims == config.actions.dims,
        "[Policy] actions: the head gives {} x {}, the configuration says {} x {}", shape.horizon, shape.dims,
        config.actions.horizon, config.actions.dims);
}

/// pixels [B, 3, S, S]: bytes, or floating and normalised.
void check_pixels(const at::Tensor& pixels, std::int64_t side) {
  const bool fits = pixels.defined() && (pixels.scalar_type() == at::kByte || pixels.is_floating_point()) &&
                    pixels.dim() == 4 && pixels.size(0) > 0 && pixels.sizes().slice(1).equals({3, side, side});
  if (!fits) fail("[Policy] pixels: expected uint8 or floating [B, 3, {}, {}], got {}", side, side, shape_of(pixels));
}

/// state [B, S]; not read where S is 0.
void check_state(const at::Tensor& state, std::int64_t batch, std::int64_t dims) {
  if (dims == 0) return;
  const bool fits = state.defined() && state.dim() == 2 && state.size(1) == dims;
  if (!fits) fail("[Policy] state: expected [B, {}], got {}", dims, shape_of(state));
  check(state.is_floating_point() && state.size(0) == batch, "[Policy] state: expected floating [{}, {}], got {} {}",
        batch, dims, c10::toString(state.scalar_type()), state.sizes());
  // On a GPU this would wait; there a NaN makes the loss or the actions one.
  if (state.is_cpu() && !all_finite(state))
    fail("[Policy] state: expected finite numbers, got NaN or infinity in row {}", first_bad_row(state));
}

/// actions [B, H, A] and their mask [B, H].
void check_target(const EpisodeBatch& batch, std::int64_t rows, const ActionShape& shape) {
  const auto& actions = batch.actions;
  const auto& mask = batch.mask;
  if (!has_shape(actions, {rows, shape.horizon, shape.dims}))
    fail("[Policy] actions: expected floating [{}, {}, {}], got {}", rows, shape.horizon, shape.dims,
         shape_of(actions));
  if (mask.defined() && (mask.scalar_type() != at::kBool || !mask.sizes().equals({rows, shape.horizon})))
    fail("[Policy] mask: expected bool [{}, {}], got {} {}", rows, shape.horizon, c10::toString(mask.scalar_type()),
         mask.sizes());
  if (!actions.is_cpu() || all_finite(actions)) return;
  const auto counted =
      mask.defined() ? actions.masked_fill(mask.to(at::kCPU).logical_not().unsqueeze(-1), 0.0) : actions;
  if (!all_finite(counted))
    fail("[Policy] actions: expected finite numbers, got NaN or infinity in row {}", first_bad_row(counted));
}

/// The policy's own tensors, without the towers': views.
NamedTensors own_tensors(const PolicyModule& module) {
  NamedTensors own;
  const auto add = [&](const auto& items) {
    for (const auto& item : items) {
      const bool is_towers = item.key().starts_with("encoder.") || item.key().starts_with("second_tower.");
      if (!is_towers) own[item.key()] = item.value().detach();
    }
  };
  add(module.named_parameters());
  add(module.named_buffers());
  return own;
}

/// The tensors of a second tower, as load_weights() has them beside the policy's own: views.
void add_second_tower(const ImageTower& tower, NamedTensors& tensors) {
  const auto add = [&](const auto& items) {
    for (const auto& item : items) tensors["second_tower." + item.key()] = item.value().detach();
  };
  add(tower.module()->named_parameters());
  add(tower.module()->named_buffers());
}

/// What a policy's folder has in place of a second tower. Throws Error where it would compute other things.
ImageTower second_tower_of(const fs::path& folder, const ImageTower& own) {
  auto there = ImageTower::load(folder / second_folder, own.config().preprocess.image_size);
  ModelConfig of_there, of_own;
  of_there.vision = there.config().vision, of_own.vision = own.config().vision;
  check_same_computation(of_there, of_own, folder / second_folder);
  return there;
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

struct Policy::State {
  DualEncoder encoder;
  PolicyConfig config;
  std::shared_ptr<PolicyModule> module;
};

Policy::Policy(std::shared_ptr<State> state) : state_(std::move(state)) {}

Policy::Policy(DualEncoder encoder, std::shared_ptr<Fusion> fusion, std::shared_ptr<ActionHead> head,
               const PolicyConfig& config, std::uint64_t seed) {
  check_config(config, "[Policy]");
  const auto widths = tower_widths(encoder, config);
  check_parts(fusion.get(), head.get(), widths, config);
  auto module = make_module(encoder, std::move(fusion), std::move(head), config, widths, seed);
  state_ = std::make_shared<State>(State{std::move(encoder), config, std::move(module)});
}

Policy Policy::create(DualEncoder encoder, const PolicyConfig& config, std::uint64_t seed) {
  check_config(config, "[Policy]");
  nn::Initializer initializer(seed);
  const auto widths = tower_widths(encoder, config);
  auto fusion = make_fusion(config.fusion, sizes_of(widths, config), initializer, config.fusion_options);
  auto head =
      make_head(config.head, config.width, config.actions, bank_of(encoder, config), initializer, config.head_options);
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
    config = read_policy_config(place / "policy.json");
    encoder = DualEncoder::load(place / "encoder");
    own = read_safetensors(place / "policy.safetensors").tensors;
  });
  auto policy = create(*encoder, config);
  const auto file = (folder / "policy.safetensors").string();
  assign_tensors(own_tensors(*policy.state_->module), own, file);
  policy.train(false);
  return policy;
}

void Policy::save(const fs::path& folder) const {
  write_folder_atomically(folder, replaceable_policy(), [this](const fs::path& place) { write(place); });
}

void Policy::write(const fs::path& folder) const {
  const auto own = own_tensors(*state_->module);
  check_finite(*state_->module, "[Policy::save]");
  state_->encoder.save(folder / "encoder");
  if (const auto& second = state_->config.second_tower) {
    fs::create_directory(folder / second_folder);
    second->write(folder / second_folder);
  }
  write_safetensors(folder / "policy.safetensors", own, {{"format", "pt"}});
  write_file_atomically(folder / "policy.json", to_json(state_->config) + "\n");
}

void Policy::load_weights(const fs::path& folder) {
  NamedTensors stored;
  FolderWeights encoder;
  std::optional<ImageTower> second;
  const auto& own_second = state_->config.second_tower;
  read_whole_folder(folder, [&](const fs::path& place) {
    stored = read_safetensors(place / "policy.safetensors").tensors;
    encoder = read_folder_weights(place / "encoder");
    if (own_second) second = second_tower_of(place, *own_second);
  });
  auto own = own_tensors(*state_->module);
  if (second) add_second_tower(*own_second, own), add_second_tower(*second, stored);
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

at::Tensor Policy::loss_of_all(const EpisodeBatch& batch, Precision precision, const at::Generator& generator,
                               const std::function<HeadBatch(const HeadBatch&)>& join) const {
  check(precision != Precision::int8, "[Policy] loss: int8 is for inference");
  auto& module = *state_->module;
  const auto& config = state_->config;
  check_pixels(batch.pixels, state_->encoder.config().preprocess.image_size);
  const auto rows = batch.pixels.size(0);
  check_state(batch.state, rows, config.state);
  check_target(batch, rows, config.actions);
  const auto text = read(batch.tokens, precision);
  const auto pixels = normalize_pixels(on_device(batch.pixels, device()), state_->encoder.config().preprocess);
  const auto all = join({.features = module.features(pixels, text, batch.state, dtype_of(precision)),
                         .actions = module.to_head(on_device(batch.actions, device())),
                         .mask = batch.mask});
  return module.head->loss(all.features, all.actions, all.mask, generator);
}

Features Policy::read(const at::Tensor& tokens, Precision precision) const {
  if (!tokens.defined() || tokens.scalar_type() != at::kLong || tokens.dim() != 2 || tokens.numel() == 0)
    fail("[Policy] tokens: expected int64 [B, L], got {}", shape_of(tokens));
  return state_->encoder.text_features(tokens, {}, precision);
}

at::Tensor Policy::act(const at::Tensor& pixels, const Features& instruction, const at::Tensor& state,
                       Precision precision, const at::Generator& generator) const {
  const at::NoGradGuard no_graph;
  check_pixels(pixels, state_->encoder.config().preprocess.image_size);
  check_state(state, pixels.size(0), state_->config.state);
  const auto normalized = normalize_pixels(on_device(pixels, device()), state_->encoder.config().preprocess);
  const auto mode = checked_mode(state_->encoder, precision);
  const auto actions = state_->module->act(normalized, instruction, state, nn::compute_dtype(precision), generator);
  if (!all_finite(actions))
    fail("[Policy] the actions of row {} aren't finite: pixels, state or weights are NaN or infinite",
         first_bad_row(actions));
  return actions;
}

void Policy::train(bool on) { state_->module->train(on); }
void Policy::to(c10::Device device) {
  parse_device(device.str());  // throws for one that isn't there
  state_->module->to(device);
}
c10::Device Policy::device() const { return state_->encoder.device(); }

const PolicyConfig& Policy::config() const { return state_->config; }
DualEncoder Policy::encoder() const { return state_->encoder; }
std::shared_ptr<torch::nn::Module> Policy::module() const { return state_->module; }

}  // namespace vlalign::vla
