#include "model/peers/peer_names.hpp"

#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "core/check.hpp"
#include "core/finite.hpp"
#include "model/peers/coca_decoder.hpp"
#include "model/peers/positions.hpp"
#include "nn/finite_weights.hpp"
#include "nn/grid_positions.hpp"
#include "vlalign/nn/lora.hpp"

namespace vlalign {
namespace {

bool contains(std::string_view name, std::string_view part) { return name.find(part) != name.npos; }

void replace_first(std::string& name, std::string_view ours, std::string_view theirs) {
  if (const auto at = name.find(ours); at != name.npos) name.replace(at, ours.size(), theirs);
}

at::Tensor in_peers_shape(at::Tensor tensor, const std::string& name, const NamingScheme& scheme) {
  for (const auto part : scheme.transposed) {
    if (contains(name, part) && tensor.dim() == 2) tensor = tensor.t();
  }
  for (const auto part : scheme.square_grids) {
    if (!contains(name, part)) continue;
    if (const auto side = nn::grid_side(tensor.size(0))) tensor = tensor.unflatten(0, {*side, *side});
  }
  for (const auto& [part, ones] : scheme.leading_ones) {
    for (int i = 0; contains(name, part) && i < ones; ++i) tensor = tensor.unsqueeze(0);
  }
  for (const auto& [part, ones] : scheme.trailing_ones) {
    for (int i = 0; contains(name, part) && i < ones; ++i) tensor = tensor.unsqueeze(-1);
  }
  return tensor;
}

void add(NamedTensors& all, const std::string& name, const at::Tensor& tensor, const NamingSchemes& schemes) {
  const auto scheme =
      std::find_if(schemes.begin(), schemes.end(), [&](const auto& s) { return name.starts_with(s.scope); });
  const auto insert = [&](const std::string& peers, const at::Tensor& value) {
    check(all.emplace(peers, value).second, "two tensors of the model are {} to the peer, the second is {}", peers,
          name);
  };
  if (scheme == schemes.end()) return insert(name, tensor);
  auto renamed = name;
  for (const auto& rename : scheme->renames) replace_first(renamed, rename.ours, rename.theirs);
  const auto fused = std::find_if(scheme->fused.begin(), scheme->fused.end(),
                                  [&](const auto& each) { return contains(renamed, each.ours); });
  if (fused == scheme->fused.end()) return insert(renamed, in_peers_shape(tensor, name, *scheme));
  const auto rows = tensor.size(0) / fused->count;
  for (const auto& part : fused->parts) {
    auto part_name = renamed;
    replace_first(part_name, fused->ours, part.name);
    insert(part_name, in_peers_shape(tensor.narrow(0, part.first * rows, part.count * rows), name, *scheme));
  }
}

}  // namespace

Renames operator+(Renames a, const Renames& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

NamedTensors peer_tensors(const torch::nn::Module& module, const NamingSchemes& schemes, const NamedTensors& instead,
                          const std::string& prefix) {
  const auto adapters = nn::adapter_tensors(module);
  NamedTensors all;
  for (const auto& item : module.named_parameters()) {
    if (adapters.contains(item.key())) continue;
    const auto found = instead.find(item.key());
    add(all, prefix + item.key(), found == instead.end() ? item.value().detach() : found->second, schemes);
  }
  for (const auto& item : module.named_buffers()) add(all, prefix + item.key(), item.value().detach(), schemes);
  return all;
}

NamedTensors merged_weights(const torch::nn::Module& module) {
  NamedTensors all;
  for (const auto& [name, lora] : nn::adapters(module)) all.emplace(name, lora->merged_weight());
  return all;
}

namespace {

/// A scale or bias is a scalar to one peer or version and a list of one number to another.
bool is_one_number(const at::Tensor& a, const at::Tensor& b) {
  return a.numel() == 1 && b.numel() == 1 && a.dim() <= 1 && b.dim() <= 1;
}

/// Those with a NaN or an infinity, but for what the module holds already: a constant of its own, such as a mask.
NamedTensors not_finite(const NamedTensors& tensors, const NamedTensors& wanted) {
  NamedTensors found;
  for (const auto& [name, tensor] : tensors) {
    const auto& ours = wanted.at(name);
    if (!all_finite(tensor) && !tensor.to(ours.options()).reshape(ours.sizes()).equal(ours))
      found.emplace(name, tensor);
  }
  return found;
}

}  // namespace

void assign_tensors(const NamedTensors& wanted, const NamedTensors& tensors, const std::string& where) {
  std::vector<std::string> faults;
  for (const auto& [name, ours] : wanted) {
    const auto found = tensors.find(name);
    if (found == tensors.end()) {
      faults.push_back(fmt::format("{} is missing (expected {})", name, ours.sizes().vec()));
    } else if (found->second.sizes() != ours.sizes() && !is_one_number(found->second, ours)) {
      faults.push_back(fmt::format("{}: expected {}, got {}", name, ours.sizes().vec(), found->second.sizes().vec()));
    } else if (found->second.is_floating_point() != ours.is_floating_point() || found->second.is_complex()) {
      faults.push_back(fmt::format("{}: expected {} numbers, got {}", name,
                                   ours.is_floating_point() ? "floating" : "whole",
                                   c10::toString(found->second.scalar_type())));
    }
  }
  for (const auto& [name, tensor] : tensors) {
    if (!wanted.contains(name))
      faults.push_back(fmt::format("{} {} is not part of the model", name, tensor.sizes().vec()));
  }
  check(faults.empty(), "{}: {} tensor(s) don't fit the model:\n  {}", where, faults.size(), fmt::join(faults, "\n  "));
  check_finite(not_finite(tensors, wanted), where);
  at::NoGradGuard no_grad;
  for (const auto& [name, ours] : wanted) ours.copy_(tensors.at(name).reshape(ours.sizes()));
}

void assign_model(const torch::nn::Module& module, const ModelConfig& config, Layout layout,
                  const NamedTensors& tensors, const std::string& where, const Resizing& resizing) {
  const auto wanted = peer_tensors(module, naming_schemes(config, layout));
  const auto& towers = config.decoder.empty() ? tensors : without_decoder(tensors);
  assign_tensors(wanted, with_resized_positions(towers, wanted, PositionsOf::both_towers, resizing, where), where);
}

}  // namespace vlalign
