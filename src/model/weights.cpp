#include "weights.hpp"

#include "core/check.hpp"

namespace vlalign {
namespace {

struct PeerName {
  std::string name;
  bool transposed = false;
};

/// Ours to open_clip's (model.py, class CLIP): the text tower's tensors stand at the top, a ViT's and the text's
/// projection is a [W, D] matrix, a ResNet's is the attention pool's c_proj.
PeerName open_clip_name(const std::string& ours, const ModelConfig& config) {
  if (std::holds_alternative<OwnTowers>(config.vision)) return {ours};
  if (ours == "text_projection.weight") return {"text_projection", true};
  if (ours.starts_with("text.")) return {ours.substr(5)};
  if (ours == "image_projection.weight" && std::holds_alternative<VitConfig>(config.vision))
    return {"visual.proj", true};
  if (ours.starts_with("image_projection.")) return {"visual.attnpool.c_proj." + ours.substr(17)};
  return {ours};
}

/// An orientation is a view, so that writing through it reaches the parameter.
at::Tensor oriented(const at::Tensor& tensor, const PeerName& peer) { return peer.transposed ? tensor.t() : tensor; }

}  // namespace

NamedTensors open_clip_tensors(const nn::DualEncoderImpl& module, const ModelConfig& config) {
  NamedTensors tensors;
  const auto add = [&](const auto& item) {
    const auto peer = open_clip_name(item.key(), config);
    tensors.emplace(peer.name, oriented(item.value().detach(), peer));
  };
  for (const auto& item : module.named_parameters()) add(item);
  for (const auto& item : module.named_buffers()) add(item);
  return tensors;
}

void assign_open_clip_tensors(nn::DualEncoderImpl& module, const ModelConfig& config, const NamedTensors& tensors,
                              const std::string& where) {
  const auto wanted = open_clip_tensors(module, config);
  std::vector<std::string> faults;
  for (const auto& [name, ours] : wanted) {
    const auto found = tensors.find(name);
    if (found == tensors.end()) {
      faults.push_back(fmt::format("{} is missing (expected {})", name, ours.sizes().vec()));
    } else if (found->second.sizes() != ours.sizes()) {
      faults.push_back(fmt::format("{}: expected {}, got {}", name, ours.sizes().vec(), found->second.sizes().vec()));
    }
  }
  for (const auto& [name, tensor] : tensors) {
    if (!wanted.contains(name))
      faults.push_back(fmt::format("{} {} is not part of the model", name, tensor.sizes().vec()));
  }
  check(faults.empty(), "{}: {} tensor(s) don't fit the model {}:\n  {}", where, faults.size(), config.name,
        fmt::join(faults, "\n  "));
  for (const auto& [name, ours] : wanted) ours.copy_(tensors.at(name));
}

}  // namespace vlalign
