#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/stack.h>

#include "train/option_checks.hpp"
#include "train/update_rule.hpp"

namespace vlalign {
namespace {

class AdamW : public UpdateRule {
 public:
  explicit AdamW(const AdamWOptions& options) : options_(options) { check_options(options); }

  std::vector<std::string> moments() const override { return {"exp_avg", "exp_avg_sq"}; }

  void update(const GroupStep& step, const Ranks&) const override {
    const auto counts = at::stack(step.counts).to(step.parameters.front().device()).unbind();
    at::_fused_adamw_(step.parameters, step.gradients, step.moments[0], step.moments[1], /*max_exp_avg_sqs=*/{}, counts,
                      step.learning_rate, options_.beta1, options_.beta2, step.decayed ? options_.weight_decay : 0.0,
                      options_.eps, /*amsgrad=*/false, /*maximize=*/false);
  }

 private:
  AdamWOptions options_;
};

}  // namespace

std::unique_ptr<UpdateRule> make_rule(const AdamWOptions& options) { return std::make_unique<AdamW>(options); }

}  // namespace vlalign
