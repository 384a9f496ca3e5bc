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
    if (buffer.is_floating_point() && buffer.numel() > 0 && all_finite(buffer))
      watched_.emplace_back(item.key(), buffers_.back());
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
  std::vector<at::Tensor> values;
  for (const auto& [name, buffer] : watched_) values.push_back(buffer);
  return at::stack(at::_foreach_norm(values, std::numeric_limits<double>::infinity())).max();
}

std::string KeptBuffers::first_not_finite() const {
  for (const auto& [name, buffer] : watched_)
    if (!all_finite(buffer)) return name;
  return {};
}

}  // namespace vlalign
