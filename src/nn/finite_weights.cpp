#include "nn/finite_weights.hpp"

#include <limits>

#include "core/check.hpp"
#include "core/finite.hpp"

namespace vlalign {
namespace {

/// Without its minus infinities.
at::Tensor bounded_below(const at::Tensor& buffer) {
  constexpr auto lowest = std::numeric_limits<double>::lowest();
  return buffer.is_floating_point() ? buffer.to(at::kDouble).clamp_min(lowest) : buffer;
}

}  // namespace

void check_finite(const NamedTensors& tensors, const std::string& where) {
  const auto* colon = where.ends_with(']') ? "" : ":";
  for (const auto& [name, tensor] : tensors)
    check(all_finite(tensor), "{}{} {} {} holds a NaN or an infinity: expected finite weights", where, colon, name,
          tensor.sizes().vec());
}

void check_finite(const torch::nn::Module& module, const std::string& where) {
  NamedTensors all;
  for (const auto& item : module.named_parameters()) all.emplace(item.key(), item.value().detach());
  for (const auto& item : module.named_buffers()) all.emplace(item.key(), bounded_below(item.value()));
  check_finite(all, where);
}

}  // namespace vlalign
