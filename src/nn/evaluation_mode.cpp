#include "nn/evaluation_mode.hpp"

namespace vlalign::nn {

EvaluationMode::EvaluationMode(torch::nn::Module& module)
    : module_(module), was_training_(module.is_training()), below_(module.modules(/*include_self=*/false)) {
  for (const auto& part : below_) below_was_training_.push_back(part->is_training());
  module.train(false);
}

EvaluationMode::~EvaluationMode() {
  module_.train(was_training_);
  // train() descends into children, which come after their parent here and so have the last word.
  for (std::size_t i = 0; i < below_.size(); ++i) below_[i]->train(below_was_training_[i]);
}

}  // namespace vlalign::nn
