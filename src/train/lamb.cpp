#include <ATen/TensorOperators.h>
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_addcmul.h>
#include <ATen/ops/_foreach_div.h>
#include <ATen/ops/_foreach_lerp.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_reciprocal.h>
#include <ATen/ops/_foreach_sqrt.h>
#include <ATen/ops/dot.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/where.h>

#include <cmath>

#include "train/option_checks.hpp"
#include "train/update_rule.hpp"

namespace vlalign {
namespace {

/// Of whole tensors, from the ranks' parts, [n]. In float64, so that the weights are the same whoever summed what.
at::Tensor whole_norms(const std::vector<at::Tensor>& parts, const Ranks& ranks) {
  std::vector<at::Tensor> squares;
  for (const auto& part : parts) {
    const auto numbers = part.to(at::kDouble).flatten();
    squares.push_back(at::dot(numbers, numbers));
  }
  const auto sums = at::stack(squares);
  ranks.sum(sums);
  return sums.sqrt();
}

class Lamb : public UpdateRule {
 public:
  explicit Lamb(const LambOptions& options) : options_(options) { check_options(options); }

  std::vector<std::string> moments() const override { return {"exp_avg", "exp_avg_sq"}; }

  void update(const GroupStep& step, const Ranks& ranks) const override {
    const auto updates = adam(step);
    if (step.decayed) {
      at::_foreach_add_(updates, step.parameters, options_.weight_decay);
      const auto weights = whole_norms(step.parameters, ranks), lengths = whole_norms(updates, ranks);
      const auto ratios = at::where((weights > 0) & (lengths > 0), weights / lengths, at::ones_like(weights));
      at::_foreach_mul_(updates, ratios.unbind());
    }
    at::_foreach_add_(step.parameters, updates, -step.learning_rate);
  }

 private:
  /// m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps), of averages that go on by this step's gradients.
  std::vector<at::Tensor> adam(const GroupStep& step) const {
    const auto& o = options_;
    const auto &averages = step.moments[0], &squares = step.moments[1];
    at::_foreach_lerp_(averages, step.gradients, 1 - o.beta1);
    at::_foreach_mul_(squares, o.beta2);
    at::_foreach_addcmul_(squares, step.gradients, step.gradients, 1 - o.beta2);
    std::vector<at::Scalar> unbiased_average, unbiased_root;
    for (const auto& count : step.counts) {
      const double t = count.item<double>();
      unbiased_average.emplace_back(1 - std::pow(o.beta1, t));
      unbiased_root.emplace_back(std::sqrt(1 - std::pow(o.beta2, t)));
    }
    auto updates = at::_foreach_sqrt(squares);
    at::_foreach_div_(updates, unbiased_root);
    at::_foreach_add_(updates, o.eps);
    at::_foreach_mul_(updates, unbiased_average);
    at::_foreach_reciprocal_(updates);
    at::_foreach_mul_(updates, averages);
    return updates;
  }

  LambOptions options_;
};

}  // namespace

std::unique_ptr<UpdateRule> make_rule(const LambOptions& options) { return std::make_unique<Lamb>(options); }

}  // namespace vlalign
