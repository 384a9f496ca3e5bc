// What FineTuning does to a model.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "vlalign/nn/dual_encoder.hpp"
#include "vlalign/train/fine_tuning.hpp"

namespace vlalign {

/// The towers inside a trained module, and what their parameters' names begin with there.
struct Towers {
  const nn::DualEncoderImpl& module;
  std::string prefix;

  /// name: as in the trained module's named_parameters().
  std::optional<nn::DualEncoderImpl::Place> place_of(std::string_view name) const;
};

/// Keeps parameters and batch norms of a model frozen while it lives; what was frozen before stays so.
class Freezing {
 public:
  /// Throws Error for a pattern that no parameter fits and for more unlocked groups than a tower has.
  Freezing(const torch::nn::Module& module, const Towers& towers, const FineTuning& how);
  Freezing(const Freezing&) = delete;
  Freezing& operator=(const Freezing&) = delete;
  ~Freezing();

  bool has_norms() const { return !norms_.empty(); }

 private:
  std::vector<at::Tensor> parameters_;
  std::vector<std::shared_ptr<nn::BatchNorm2d>> norms_;
};

/// Throws Error for what Freezing and learning_rate_factors() refuse, and when nothing would train.
void check_fine_tuning(const torch::nn::Module& module, const Towers& towers, const FineTuning& how);

/// The learning rates' factors by layer decay and by pattern, by parameter name; 1 for those that are not in it.
/// Throws Error for a pattern that no parameter fits.
std::map<std::string, double> learning_rate_factors(const torch::nn::Module& module, const Towers& towers,
                                                    const FineTuning& how);

}  // namespace vlalign
