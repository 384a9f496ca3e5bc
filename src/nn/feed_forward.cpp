#include "vlalign/nn/feed_forward.hpp"

namespace vlalign::nn {

FeedForward::FeedForward(std::int64_t in, std::int64_t hidden, std::int64_t out, Initializer& initializer) {
  c_fc = register_module("c_fc", std::make_shared<Linear>(in, hidden, Linear::Options{}, initializer));
  c_proj = register_module("c_proj", std::make_shared<Linear>(hidden, out, Linear::Options{}, initializer));
}

Tensor FeedForward::forward(const Tensor& x) const {
  return c_proj->forward(activate(c_fc->forward(x), Activation::gelu));
}

}  // namespace vlalign::nn
