#include "model/peers/coca_decoder.hpp"

#include "core/check.hpp"

namespace vlalign {
namespace {

constexpr std::string_view decoder_prefix = "text_decoder.";

NamedTensors part_of(const NamedTensors& model, bool decoder) {
  NamedTensors part;
  for (const auto& [name, tensor] : model) {
    if (name.starts_with(decoder_prefix) == decoder) part.emplace(name, decoder ? tensor.clone() : tensor);
  }
  return part;
}

}  // namespace

std::string decoder_config(JsonSection& model) {
  if (!model.has("multimodal_cfg")) return {};
  const auto config = model.require<nlohmann::json>("multimodal_cfg");
  check(config.is_object(), "{}.multimodal_cfg: expected an object, got {}", model.where(), config.type_name());
  return config.dump();
}

NamedTensors decoder_tensors(const NamedTensors& model) { return part_of(model, true); }
NamedTensors without_decoder(const NamedTensors& model) { return part_of(model, false); }

void check_same_decoder(const NamedTensors& ours, const NamedTensors& theirs, const std::string& where) {
  for (const auto& [name, tensor] : ours) {
    const auto found = theirs.find(name);
    check(found != theirs.end(), "{}: {} of the text decoder is missing (expected {})", where, name,
          tensor.sizes().vec());
    check(found->second.sizes() == tensor.sizes(), "{}: {} of the text decoder: expected {}, got {}", where, name,
          tensor.sizes().vec(), found->second.sizes().vec());
  }
  for (const auto& [name, tensor] : theirs)
    check(ours.contains(name), "{}: {} {} is not part of the model's text decoder", where, name, tensor.sizes().vec());
}

}  // namespace vlalign
