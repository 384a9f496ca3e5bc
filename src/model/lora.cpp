#include "vlalign/model/lora.hpp"

#include <nlohmann/json.hpp>

#include "core/check.hpp"
#include "core/json/dump_json.hpp"
#include "core/json/json_section.hpp"
#include "core/json/parse_json.hpp"
#include "model/peers/peer_names.hpp"
#include "nn/finite_weights.hpp"
#include "vlalign/core/random.hpp"
#include "vlalign/model/dual_encoder.hpp"
#include "vlalign/nn/dual_encoder.hpp"
#include "vlalign/nn/lora.hpp"

namespace vlalign {
namespace {

constexpr auto metadata_key = "lora";

LoraOptions parse_options(const std::string& text, const std::string& file) {
  const auto where = fmt::format("{}: {}", file, metadata_key);
  const auto json = parse_json(text, where);
  JsonSection options(json, where);
  return {.rank = options.require_positive("rank"),
          .alpha = options.require<double>("alpha"),
          .attention = options.require<bool>("attention"),
          .mlp = options.require<bool>("mlp"),
          .modules = options.require<std::vector<std::string>>("modules"),
          .train = options.require<std::vector<std::string>>("train")};
}

}  // namespace

void add_lora(DualEncoder model, const LoraOptions& options, std::uint64_t seed) {
  constexpr std::uint64_t purpose = 0x6c6f7261;  // apart from the weights' own draws
  nn::Initializer initializer(Rng({seed, purpose}).next());
  nn::add_lora(*model.module(), options, initializer);
}

std::optional<LoraOptions> lora_options(const DualEncoder& model) {
  const auto all = nn::adapters(*model.module());
  return all.empty() ? std::nullopt : std::optional(all.begin()->second->options);
}

void merge_lora(DualEncoder model) {
  for (const auto& [name, lora] : nn::adapters(*model.module())) lora->merge();
}

void unmerge_lora(DualEncoder model) {
  for (const auto& [name, lora] : nn::adapters(*model.module())) lora->unmerge();
}

void save_lora(const DualEncoder& model, const std::filesystem::path& file) {
  const auto options = lora_options(model);
  check(options.has_value(), "{}: the model has no adapter to save", file.string());
  const auto tensors = nn::adapter_tensors(*model.module());
  check_finite(tensors, "[save_lora]");
  write_safetensors(file, tensors, {{"format", "pt"}, {metadata_key, to_json(*options)}});
}

void load_lora(DualEncoder model, const std::filesystem::path& file) {
  const auto stored = read_safetensors(file);
  const auto found = stored.metadata.find(metadata_key);
  check(found != stored.metadata.end(), "{}: no adapter, its metadata lacks \"{}\"", file.string(), metadata_key);
  auto& module = *model.module();
  const auto parameters = module.parameters();
  std::vector<bool> trained;
  for (const auto& parameter : parameters) trained.push_back(parameter.requires_grad());
  add_lora(model, parse_options(found->second, file.string()));
  try {
    assign_tensors(nn::adapter_tensors(module), stored.tensors, file.string());
  } catch (...) {
    nn::remove_lora(module);
    for (std::size_t i = 0; i < parameters.size(); ++i) parameters[i].set_requires_grad(trained[i]);
    throw;
  }
}

std::string to_json(const LoraOptions& options) {
  const nlohmann::ordered_json json = {{"rank", options.rank},           {"alpha", options.alpha},
                                       {"attention", options.attention}, {"mlp", options.mlp},
                                       {"modules", options.modules},     {"train", options.train}};
  return dump_json(json, -1, "[to_json] LoraOptions");
}

}  // namespace vlalign
