#include "nn/activation_checkpoint.hpp"

#include <ATen/Context.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <mutex>
#include <optional>
#include <utility>

#include "kernels/attention.hpp"

namespace vlalign::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;
using Segment = std::function<at::Tensor(const Inputs&)>;

at::Tensor state_of(at::Generator generator) {
  const std::lock_guard lock(generator.mutex());
  return generator.get_state();
}

/// While this lives, a device's default generator goes on from an earlier state.
class DrawnAgain {
 public:
  DrawnAgain(const at::Tensor& state, c10::Device device)
      : generator_(at::globalContext().defaultGenerator(device)), after_(state_of(generator_)) {
    set(state);
  }
  DrawnAgain(const DrawnAgain&) = delete;
  DrawnAgain& operator=(const DrawnAgain&) = delete;
  ~DrawnAgain() { set(after_); }

 private:
  void set(const at::Tensor& state) {
    const std::lock_guard lock(generator_.mutex());
    generator_.set_state(state);
  }

  at::Generator generator_;
  at::Tensor after_;
};

struct CheckpointNode : torch::autograd::Function<CheckpointNode> {
  /// all: inputs, then parameters
  static at::Tensor forward(AutogradContext* context, at::TensorList all, std::size_t input_count,
                            const std::shared_ptr<Segment>& f, bool draws) {
    context->save_for_backward(all.vec());
    context->saved_data["inputs"] = static_cast<std::int64_t>(input_count);
    context->saved_data["f"] = c10::IValue::make_capsule(c10::make_intrusive<Kept>(f));
    if (draws) context->saved_data["state"] = state_of(at::globalContext().defaultGenerator(all[0].device()));
    const WithoutBlocks as_again;
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
    const auto y = computed_again(context, *kept->f, leaves);
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
    gradients.resize(gradients.size() + 3);  // of input_count, f and draws
    return gradients;
  }

  static at::Tensor computed_again(AutogradContext* context, const Segment& f, const Inputs& leaves) {
    std::optional<DrawnAgain> draws;
    if (const auto state = context->saved_data.find("state"); state != context->saved_data.end())
      draws.emplace(state->second.toTensor(), leaves.front().device());
    return f(leaves);
  }

  struct Kept : torch::CustomClassHolder {
    explicit Kept(std::shared_ptr<Segment> segment) : f(std::move(segment)) {}
    std::shared_ptr<Segment> f;
  };
};

}  // namespace

at::Tensor checkpointed(const Segment& f, const Inputs& inputs, const Inputs& parameters, bool draws) {
  if (!at::GradMode::is_enabled()) return f(inputs);
  auto all = inputs;
  all.insert(all.end(), parameters.begin(), parameters.end());
  return CheckpointNode::apply(at::TensorList(all), inputs.size(), std::make_shared<Segment>(f), draws);
}

}  // namespace vlalign::nn
