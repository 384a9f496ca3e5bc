#include "export/metadata.hpp"

#include <nlohmann/json.hpp>

#include "core/json/dump_json.hpp"
#include "vla/policy_module.hpp"
#include "vlalign/core/version.hpp"
#include "vlalign/vla/head/flow_matching_head.hpp"

namespace vlalign::onnx {
namespace {

using Json = nlohmann::ordered_json;

std::map<std::string, std::string> as_words(const Json& facts) {
  std::map<std::string, std::string> words;
  for (const auto& [key, value] : facts.items())
    words[key] = value.is_string() ? value.get<std::string>() : dump_readable(value);
  return words;
}

}  // namespace

Json facts_of(const DualEncoder& model, const OnnxOptions& options) {
  const auto& config = model.config();
  const auto& how = config.preprocess;
  return {{"vlalign", version()},
          {"model", config.name},
          {"family", family(config)},
          {"embed_dim", config.embed_dim},
          {"embeddings", options.raw ? "raw" : "unit"},
          {"logit_scale", model.logit_scale().item<double>()},
          {"image_size", how.image_size},
          {"pixels", options.normalize ? "uint8" : "normalized"},
          {"resize", how.resize == Preprocess::Resize::shortest ? "shortest" : "squash"},
          {"resize_size", how.resize_size > 0 ? how.resize_size : how.image_size},
          {"interpolation", how.interpolation == Interpolation::bicubic ? "bicubic" : "bilinear"},
          {"mean", how.mean},
          {"std", how.std},
          {"context_length", config.text.context_length},
          {"text_length", options.text_length.value_or(0)},
          {"pad_id", model.tokenizer()->pad_id()},
          {"end_id", model.tokenizer()->end_id()}};
}

Json facts_of(const vla::Policy& policy, const OnnxOptions& options) {
  auto facts = facts_of(policy.encoder(), options);
  facts.erase("embeddings");
  const auto& config = policy.config();
  facts["fusion"] = config.fusion;
  facts["head"] = config.head;
  facts["horizon"] = config.actions.horizon;
  facts["action_dims"] = config.actions.dims;
  facts["state_dims"] = config.state;
  const auto module = std::dynamic_pointer_cast<vla::PolicyModule>(policy.module());
  if (const auto* flow = dynamic_cast<const vla::FlowMatchingHead*>(module->head.get())) facts["steps"] = flow->steps();
  return facts;
}

std::map<std::string, std::string> metadata_of(const DualEncoder& model, const OnnxOptions& options) {
  return as_words(facts_of(model, options));
}

std::map<std::string, std::string> metadata_of(const vla::Policy& policy, const OnnxOptions& options) {
  return as_words(facts_of(policy, options));
}

}  // namespace vlalign::onnx
