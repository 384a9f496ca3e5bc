#include "nn/pack.hpp"

#include "vlalign/nn/transformer.hpp"

namespace vlalign::nn {

void pack_weights(const torch::nn::Module& module) {
  for (const auto& child : module.modules()) {
    if (const auto linear = std::dynamic_pointer_cast<Linear>(child)) linear->pack();
    if (const auto attention = std::dynamic_pointer_cast<Attention>(child)) attention->pack();
  }
}

}  // namespace vlalign::nn
