#include "vlalign/nn/modern_text.hpp"

#include "core/check.hpp"

namespace vlalign::nn {

ModernText::ModernText(const TextConfig& config, Initializer&) : config_(config) {
  fail("[ModernText] is not built yet");
}
at::Tensor ModernText::forward(const at::Tensor& x, at::ScalarType) { return x; }
std::int64_t ModernText::width() const { return config_.width; }

}  // namespace vlalign::nn
