#include "nn/held_statistics.hpp"

#include <utility>
#include <vector>

#include "nn/shared_batch_norm.hpp"

namespace vlalign::nn {
namespace {

/// Gives the running statistics of a module's batch norms back when it goes. The writes aren't counted as changes: no
/// gradient of training depends on what stands there.
class HeldStatistics {
 public:
  explicit HeldStatistics(const torch::nn::Module& module) {
    for (const auto& norm : batch_norms(module)) {
      for (const auto& buffer : {norm->running_mean, norm->running_var, norm->num_batches_tracked})
        held_.emplace_back(buffer.variable_data(), buffer.detach().clone());
    }
  }
  HeldStatistics(const HeldStatistics&) = delete;
  HeldStatistics& operator=(const HeldStatistics&) = delete;
  ~HeldStatistics() {
    for (const auto& [buffer, before] : held_) buffer.copy_(before);
  }

 private:
  std::vector<std::pair<Tensor, Tensor>> held_;
};

}  // namespace

Tensor checkpointed_block(const std::shared_ptr<torch::nn::Module>& block,
                          const std::function<Tensor(const Tensor&)>& f, const Tensor& x) {
  const auto again = std::make_shared<bool>(false);
  const auto pass = [=](const Inputs& in) {
    if (!std::exchange(*again, true)) return f(in.front());
    const HeldStatistics held(*block);
    return f(in.front());
  };
  return checkpointed(pass, {x}, block->parameters());
}

}  // namespace vlalign::nn
