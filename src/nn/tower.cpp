#include "vlalign/nn/tower.hpp"

#include "core/check.hpp"

namespace vlalign::nn {

Features Tower::features(const at::Tensor& x, at::ScalarType compute, std::span<const std::int64_t> layers) {
  check(layers.empty(), "[Tower] this tower gives no hidden states");
  Features features;
  features.pooled = forward(x, compute);
  return features;
}

Features Tower::hooked_features(const at::Tensor&, at::ScalarType, std::span<const std::int64_t>, const LayerHook&) {
  fail("[Tower] this tower takes no hook behind its layers");
}

std::int64_t Tower::group_of(std::string_view) const { return 0; }

std::vector<std::int64_t> Tower::resolve_layers(std::span<const std::int64_t> layers, std::int64_t count) {
  std::vector<std::int64_t> resolved;
  for (const auto layer : layers) {
    check(layer >= -count && layer < count,
          "[Tower] layer {}: the tower has {}, counted from 0 or, negative, from the end", layer, count);
    resolved.push_back(layer < 0 ? layer + count : layer);
  }
  return resolved;
}

}  // namespace vlalign::nn
