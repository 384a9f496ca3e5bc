#include "nn/activation_checkpoint.hpp"

#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <utility>

namespace vlalign::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;
using Segment = std::function<at::Tensor(const Inputs&)>;

struct CheckpointNode : torch::autograd::Function<CheckpointNode> {
  /// all: inputs, then parameters
  static at::Tensor forward(AutogradContext* context, at::TensorList all, std::size_t input_count,
                            const std::shared_ptr<Segment>& f) {
    context->save_for_backward(all.vec());
    context->saved_data["inputs"] = static_cast<std::int64_t>(input_count);
    context->saved_data["f"] = c10::IValue::make_capsule(c10::make_intrusive<Kept>(f));
    return (*f)(all.slice(0, input_count).vec());
  }

  static variable_list backward(AutogradContext* context, const variable_list& upstream) {
    const auto all = context->get_saved_variables();
    const auto input_count = static_cast<std::size_t>(context->saved_data["inputs"].toInt());
    const auto kept = c10::static_intrusive_pointer_cast<Kept>(context->saved_data["f"].toCapsule());
    Inputs leaves;
    for (std::size_t i = 0; i < input_count; ++i)
      leaves.push_back(all[i].detach().requires_grad_(all[i].requires_grad()));

    const at::AutoGradMode with_graph(true);
    const auto y = (*kept->f)(leaves);
    variable_list wanted, gradients(all.size());
    std::vector<std::size_t> places;
    for (std::size_t i = 0; i < all.size(); ++i) {
      const auto& leaf = i < input_count ? leaves[i] : all[i];
      if (!leaf.requires_grad()) continue;
      wanted.push_back(leaf);
      places.push_back(i);
    }
    auto found = torch::autograd::grad({y}, wanted, upstream, /*retain_graph=*/std::nullopt, /*create_graph=*/false,
                                       /*allow_unused=*/true);
    for (std::size_t k = 0; k < places.size(); ++k) gradients[places[k]] = std::move(found[k]);
    gradients.resize(gradients.size() + 2);  // of input_count and f
    return gradients;
  }

  struct Kept : torch::CustomClassHolder {
    explicit Kept(std::shared_ptr<Segment> segment) : f(std::move(segment)) {}
    std::shared_ptr<Segment> f;
  };
};

}  // namespace

at::Tensor checkpointed(const Segment& f, const Inputs& inputs, const Inputs& parameters) {
  if (!at::GradMode::is_enabled()) return f(inputs);
  auto all = inputs;
  all.insert(all.end(), parameters.begin(), parameters.end());
  return CheckpointNode::apply(at::TensorList(all), inputs.size(), std::make_shared<Segment>(f));
}

}  // namespace vlalign::nn
