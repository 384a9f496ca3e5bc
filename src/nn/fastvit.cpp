#include "vlalign/nn/fastvit.hpp"

#include "core/check.hpp"

namespace vlalign::nn {

FastVit::FastVit(const FastVitConfig& config, Initializer&) : config_(config) { fail("[FastVit] is not built yet"); }
at::Tensor FastVit::forward(const at::Tensor& x, at::ScalarType) { return x; }
std::int64_t FastVit::width() const { return config_.widths.back(); }

}  // namespace vlalign::nn
