#include "nn/evaluating.hpp"

namespace vlalign::nn {

Evaluating::Evaluating(torch::nn::Module& module) : modules_(module.modules()) {
  for (const auto& each : modules_) was_training_.push_back(each->is_training());
  module.eval();
}

Evaluating::~Evaluating() {
  // train() descends into children, which come after their parent here and so have the last word.
  for (std::size_t i = 0; i < modules_.size(); ++i) modules_[i]->train(was_training_[i]);
}

}  // namespace vlalign::nn
