#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_lerp.h>
#include <ATen/ops/_foreach_sign.h>

#include "train/option_checks.hpp"
#include "train/update_rule.hpp"

namespace vlalign {
namespace {

class Lion : public UpdateRule {
 public:
  explicit Lion(const LionOptions& options) : options_(options) { check_options(options); }

  std::vector<std::string> moments() const override { return {"exp_avg"}; }
  bool counts() const override { return false; }

  void update(const GroupStep& step, const Ranks&) const override {
    const auto& averages = step.moments[0];
    const auto directions = at::_foreach_lerp(averages, step.gradients, 1 - options_.beta1);
    at::_foreach_sign_(directions);
    at::_foreach_lerp_(averages, step.gradients, 1 - options_.beta2);
    // Not times 1 - rate * decay, whose rounding is the same at each step and adds up.
    if (step.decayed) at::_foreach_add_(step.parameters, step.parameters, -step.learning_rate * options_.weight_decay);
    at::_foreach_add_(step.parameters, directions, -step.learning_rate);
  }

 private:
  LionOptions options_;
};

}  // namespace

std::unique_ptr<UpdateRule> make_rule(const LionOptions& options) { return std::make_unique<Lion>(options); }

}  // namespace vlalign
