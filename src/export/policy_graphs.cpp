#include "export/policy_graphs.hpp"

#include <ATen/TensorOperators.h>

#include "core/check.hpp"
#include "export/graph_inputs.hpp"
#include "export/metadata.hpp"
#include "export/traced_graph.hpp"
#include "nn/evaluation_mode.hpp"
#include "nn/int8_product.hpp"
#include "vla/policy_module.hpp"
#include "vlalign/vla/head/flow_matching_head.hpp"

namespace vlalign::onnx {
namespace {

using Inputs = std::vector<at::Tensor>;

/// What the graphs of one policy are made from.
class PolicyGraphs {
 public:
  PolicyGraphs(const vla::Policy& policy, const OnnxOptions& options)
      : policy_(policy),
        options_(options),
        module_(std::dynamic_pointer_cast<vla::PolicyModule>(policy.module())),
        flow_(dynamic_cast<const vla::FlowMatchingHead*>(module_->head.get())),
        evaluating_(*module_),
        normalized_(normalizer(policy.encoder())) {}

  std::vector<Model> make() const {
    if (flow_) return {seeing("policy_features", "features"), step()};
    return {seeing("policy", "actions")};
  }

 private:
  /// From what is seen and read to features or actions.
  Model seeing(std::string name, std::string output) const {
    const auto context = policy_.encoder().config().text.context_length;
    return make_graph({.name = std::move(name),
                       .what = "the policy",
                       .module = *module_,
                       .inputs = [this](const Extent& extent) { return seen(extent); },
                       .computation = [this](const Inputs& in) -> Inputs { return {told(in)}; },
                       .outputs = {std::move(output)},
                       .extents = text_extents(context, options_.text_length.value_or(0)),
                       .metadata = metadata_of(policy_, options_)});
  }

  std::vector<NamedInput> seen(const Extent& extent) const {
    const auto encoder = policy_.encoder();
    std::vector<NamedInput> inputs{random_pixels(encoder, options_, extent), random_tokens(encoder, extent)};
    const auto state = policy_.config().state;
    if (state > 0) inputs.push_back(random_numbers("state", {extent.rows, state}, extent, policy_.device()));
    return inputs;
  }

  at::Tensor told(const Inputs& in) const {
    const nn::Int8Mode mode(options_.precision);
    const auto text = module_->encoder->text_features(in[1], {});
    const auto state = in.size() > 2 ? in[2] : at::Tensor();
    const auto features = module_->features(normalized_(in[0]), text, state, at::kFloat);
    return flow_ ? features : module_->from_head(module_->head->predict(features));
  }

  /// From x at a time to x a step nearer to the actions.
  Model step() const {
    const auto shape = module_->head->shape();
    return make_graph({.name = "policy_step",
                       .what = "the policy's head",
                       .module = *module_,
                       .inputs = [this, shape](const Extent& extent) -> std::vector<NamedInput> {
                         const auto device = policy_.device();
                         return {random_numbers("features", {extent.rows, module_->head->width()}, extent, device),
                                 random_numbers("x", {extent.rows, shape.horizon, shape.dims}, extent, device),
                                 random_numbers("time", {extent.rows}, extent, device)};
                       },
                       .computation = [this](const Inputs& in) -> Inputs {
                         const auto velocity = flow_->velocity(in[0], in[1], in[2]);
                         const auto next = in[1] - velocity / static_cast<double>(flow_->steps());
                         return {velocity, next, module_->from_head(next)};
                       },
                       .outputs = {"velocity", "next", "actions"},
                       .extents = row_extents(),
                       .metadata = metadata_of(policy_, options_)});
  }

  const vla::Policy& policy_;
  const OnnxOptions& options_;
  std::shared_ptr<vla::PolicyModule> module_;
  const vla::FlowMatchingHead* flow_;
  nn::EvaluationMode evaluating_;
  std::function<at::Tensor(const at::Tensor&)> normalized_;
};

}  // namespace

std::vector<Model> policy_graphs(const vla::Policy& policy, const OnnxOptions& options) {
  check(!options.raw && !options.tokens && options.layers.empty(),
        "[export] raw, tokens and layers are for a model of two towers; a policy's graph gives actions");
  return PolicyGraphs(policy, options).make();
}

}  // namespace vlalign::onnx
