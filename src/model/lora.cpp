#include "vlalign/model/lora.hpp"

#include <nlohmann/json.hpp>

#include "core/check.hpp"
#include "finite.hpp"
#include "peer_names.hpp"
#include "vlalign/core/random.hpp"
#include "vlalign/model/dual_encoder.hpp"
#include "vlalign/nn/dual_encoder.hpp"
#include "vlalign/nn/lora.hpp"

namespace vlalign {
namespace {

constexpr auto metadata_key = "lora";

LoraOptions parse_options(const std::string& text, const std::string& file) {
  try {
    const auto json = nlohmann::json::parse(text);
    return {.rank = json.at("rank"),
            .alpha = json.at("alpha"),
            .attention = json.at("attention"),
            .mlp = json.at("mlp"),
            .modules = json.at("modules"),
            .train = json.at("train")};
  } catch (const nlohmann::json::exception& error) {
    fail("{}: the adapter's options can't be read: {}", file, error.what());
  }
}

}  // namespace

void add_lora(const DualEncoder& model, const LoraOptions& options, std::uint64_t seed) {
  constexpr std::uint64_t purpose = 0x6c6f7261;  // apart from the weights' own draws
  nn::Initializer initializer(Rng({seed, purpose}).next());
  nn::add_lora(*model.module(), options, initializer);
}

std::optional<LoraOptions> lora_options(const DualEncoder& model) {
  const auto all = nn::adapters(*model.module());
  return all.empty() ? std::nullopt : std::optional(all.begin()->second->options);
}

void merge_lora(const DualEncoder& model) {
  for (const auto& [name, lora] : nn::adapters(*model.module())) lora->merge();
}

void unmerge_lora(const DualEncoder& model) {
  for (const auto& [name, lora] : nn::adapters(*model.module())) lora->unmerge();
}

void save_lora(const DualEncoder& model, const std::filesystem::path& file) {
  const auto options = lora_options(model);
  check(options.has_value(), "{}: the model has no adapter to save", file.string());
  const auto tensors = nn::adapter_tensors(*model.module());
  check_finite(tensors, "[save_lora]");
  write_safetensors(file, tensors, {{"format", "pt"}, {metadata_key, to_json(*options)}});
}

void load_lora(const DualEncoder& model, const std::filesystem::path& file) {
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
  return json.dump();
}

}  // namespace vlalign
