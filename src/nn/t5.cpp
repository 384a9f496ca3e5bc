#include "vlalign/nn/t5.hpp"

#include "core/check.hpp"

namespace vlalign::nn {

T5Encoder::T5Encoder(const TextConfig& config, Initializer&) : config_(config) { fail("[T5Encoder] is not built yet"); }
at::Tensor T5Encoder::forward(const at::Tensor& x, at::ScalarType) { return x; }
std::int64_t T5Encoder::width() const { return config_.width; }

}  // namespace vlalign::nn
