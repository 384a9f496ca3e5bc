#include "vlalign/loss/contrastive_loss.hpp"

#include <algorithm>

#include "core/check.hpp"

namespace vlalign {
namespace {

class FunctionLoss : public ContrastiveLoss {
 public:
  FunctionLoss(std::function<at::Tensor(const ContrastiveBatch&)> function, BatchParts uses, std::string name)
      : function_(std::move(function)), uses_(uses), name_(std::move(name)) {}
  at::Tensor forward(const ContrastiveBatch& batch) const override { return function_(batch); }
  std::string name() const override { return name_; }
  BatchParts uses() const override { return uses_; }

 private:
  std::function<at::Tensor(const ContrastiveBatch&)> function_;
  BatchParts uses_;
  std::string name_;
};

}  // namespace

BatchParts operator|(const BatchParts& a, const BatchParts& b) {
  return {.logit_bias = a.logit_bias || b.logit_bias,
          .groups = a.groups || b.groups,
          .soft_targets = a.soft_targets || b.soft_targets,
          .tokens = a.tokens || b.tokens,
          .second_image = a.second_image || b.second_image,
          .teacher = a.teacher || b.teacher,
          .frames = std::max(a.frames, b.frames),
          .goal_frames = a.goal_frames || b.goal_frames};
}

std::shared_ptr<const ContrastiveLoss> AnyLoss::from_function(
    std::function<at::Tensor(const ContrastiveBatch&)> function, BatchParts uses, std::string name) {
  check(function != nullptr, "[AnyLoss] function: expected one of a batch, got an empty one");
  return std::make_shared<FunctionLoss>(std::move(function), uses, std::move(name));
}

}  // namespace vlalign
