#include "vlalign/nn/nllb.hpp"

#include "core/check.hpp"

namespace vlalign::nn {

NllbEncoder::NllbEncoder(const TextConfig& config, Initializer&) : config_(config) {
  fail("[NllbEncoder] is not built yet");
}
at::Tensor NllbEncoder::forward(const at::Tensor& x, at::ScalarType) { return x; }
std::int64_t NllbEncoder::width() const { return config_.width; }

}  // namespace vlalign::nn
