#include "vlalign/nn/convnext.hpp"

#include "core/check.hpp"

namespace vlalign::nn {

ConvNext::ConvNext(const ConvNextConfig& config, Initializer&) : config_(config) {
  fail("[ConvNext] is not built yet");
}
at::Tensor ConvNext::forward(const at::Tensor& x, at::ScalarType) { return x; }
std::int64_t ConvNext::width() const { return config_.widths.back(); }

}  // namespace vlalign::nn
