#include "vlalign/config/features.hpp"

namespace vlalign {

at::Tensor places(const Features& features) {
  if (features.tokens.defined()) return features.tokens;
  return features.map.defined() ? features.map.flatten(2).transpose(1, 2) : at::Tensor();
}

}  // namespace vlalign
