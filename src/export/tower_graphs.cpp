#include "export/tower_graphs.hpp"

#include "core/check.hpp"
#include "export/graph_inputs.hpp"
#include "export/metadata.hpp"
#include "export/traced_graph.hpp"
#include "nn/evaluation_mode.hpp"
#include "nn/int8_product.hpp"
#include "vlalign/core/normalize.hpp"
#include "vlalign/nn/dual_encoder.hpp"

namespace vlalign::onnx {
namespace {

using Projection = std::shared_ptr<nn::Projection>;

at::Tensor embedded(const at::Tensor& pooled, const Projection& projection, bool raw) {
  const auto projected = nn::DualEncoderImpl::projected(pooled, projection);
  return raw ? projected : l2_normalize(projected);
}

/// What a tower gives as the options have it: the embedding, then tokens, mask and hidden states.
std::vector<at::Tensor> outputs_of(nn::Tower& tower, const Projection& projection, const at::Tensor& input,
                                   const OnnxOptions& options, bool text) {
  if (!options.tokens && options.layers.empty())
    return {embedded(tower.forward(input, at::kFloat), projection, options.raw)};
  const auto features = tower.features(input, at::kFloat, options.layers);
  std::vector<at::Tensor> outputs{embedded(features.pooled, projection, options.raw)};
  const auto add = [&](const at::Tensor& output, const char* name) {
    check(output.defined(), "[export] the {} tower gives no {}", text ? "text" : "image", name);
    outputs.push_back(output);
  };
  if (options.tokens) add(text ? features.tokens : places(features), "tokens");
  if (options.tokens && text) add(features.mask, "mask");
  for (const auto& hidden : features.hidden) add(hidden, "hidden states");
  return outputs;
}

std::vector<std::string> names_of_outputs(const OnnxOptions& options, bool text) {
  std::vector<std::string> names{"embedding"};
  if (options.tokens) names.emplace_back("token_features");
  if (options.tokens && text) names.emplace_back("mask");
  for (const auto layer : options.layers) names.push_back(fmt::format("hidden.{}", layer));
  return names;
}

}  // namespace

Model image_graph(const DualEncoder& model, const OnnxOptions& options) {
  const auto module = model.module();
  const nn::EvaluationMode evaluating(*module);
  const auto normalized = normalizer(model);
  return make_graph({.name = "image",
                     .what = "the image tower",
                     .module = *module,
                     .inputs = [&](const Extent& extent) -> std::vector<NamedInput> {
                       return {random_pixels(model, options, extent)};
                     },
                     .computation =
                         [&](const std::vector<at::Tensor>& in) {
                           const nn::Int8Mode mode(options.precision);
                           return outputs_of(*module->visual, module->image_projection, normalized(in[0]), options,
                                             /*text=*/false);
                         },
                     .outputs = names_of_outputs(options, /*text=*/false),
                     .extents = row_extents(),
                     .metadata = metadata_of(model, options)});
}

Model text_graph(const DualEncoder& model, const OnnxOptions& options) {
  const auto module = model.module();
  const nn::EvaluationMode evaluating(*module);
  const auto context = model.config().text.context_length;
  return make_graph(
      {.name = "text",
       .what = "the text tower",
       .module = *module,
       .inputs = [&](const Extent& extent) -> std::vector<NamedInput> { return {random_tokens(model, extent)}; },
       .computation =
           [&](const std::vector<at::Tensor>& in) {
             const nn::Int8Mode mode(options.precision);
             return outputs_of(*module->text, module->text_projection, in[0], options, /*text=*/true);
           },
       .outputs = names_of_outputs(options, /*text=*/true),
       .extents = text_extents(context, options.text_length.value_or(0)),
       .metadata = metadata_of(model, options)});
}

}  // namespace vlalign::onnx
