#include "train/kept_buffers.hpp"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_copy.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/stack.h>

#include <limits>

#include "core/finite.hpp"

namespace vlalign {

KeptBuffers::KeptBuffers(const torch::nn::Module& module) {
  for (const auto& item : module.named_buffers()) {
    const auto& buffer = item.value();
    buffers_.push_back(buffer.detach());
    kept_.push_back(buffer.detach().clone());
    if (!buffer.is_floating_point() || buffer.numel() == 0 || !all_finite(buffer)) continue;
    watched_.push_back(buffers_.back());
    watched_names_.push_back(item.key());
  }
}

void KeptBuffers::keep() {
  const at::NoGradGuard no_graph;
  if (!buffers_.empty()) at::_foreach_copy_(kept_, buffers_);
}

void KeptBuffers::restore() const {
  const at::NoGradGuard no_graph;
  if (!buffers_.empty()) at::_foreach_copy_(buffers_, kept_);
}

at::Tensor KeptBuffers::largest() const {
  if (watched_.empty()) return {};
  return at::stack(at::_foreach_norm(watched_, std::numeric_limits<double>::infinity())).max();
}

std::string KeptBuffers::first_not_finite() const {
  for (std::size_t i = 0; i < watched_.size(); ++i)
    if (!all_finite(watched_[i])) return watched_names_[i];
  return {};
}

}  // namespace vlalign
