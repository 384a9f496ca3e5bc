#include "vlalign/loss/contrastive_loss.hpp"

namespace vlalign {
namespace {

class FunctionLoss : public ContrastiveLoss {
 public:
  explicit FunctionLoss(std::function<at::Tensor(const ContrastiveBatch&)> function) : function_(std::move(function)) {}
  at::Tensor forward(const ContrastiveBatch& batch) const override { return function_(batch); }
  std::string name() const override { return "custom"; }

 private:
  std::function<at::Tensor(const ContrastiveBatch&)> function_;
};

}  // namespace

std::shared_ptr<const ContrastiveLoss> AnyLoss::from_function(
    std::function<at::Tensor(const ContrastiveBatch&)> function) {
  return std::make_shared<FunctionLoss>(std::move(function));
}

}  // namespace vlalign
