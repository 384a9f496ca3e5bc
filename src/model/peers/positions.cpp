#include "model/peers/positions.hpp"

#include <ATen/ops/_upsample_bicubic2d_aa.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/upsample_linear1d.h>

#include <cmath>
#include <optional>

#include "core/log.hpp"

namespace vlalign {
namespace {

bool is_positions(const std::string& name) {
  for (const auto* end :
       {"positional_embedding", "pos_embed", "position_embedding.weight", "position_embeddings.weight", "wpe.weight"}) {
    if (name.ends_with(end)) return true;
  }
  return false;
}

std::optional<std::int64_t> square_root(std::int64_t number) {
  if (number <= 0) return std::nullopt;
  const auto root = std::llround(std::sqrt(static_cast<double>(number)));
  return root * root == number ? std::optional<std::int64_t>(root) : std::nullopt;
}

}  // namespace

at::Tensor resize_grid(const at::Tensor& positions, std::int64_t new_side, std::int64_t extra) {
  const auto places = positions.size(0) - extra, width = positions.size(1);
  const auto side = *square_root(places);
  const auto grid =
      positions.narrow(0, extra, places).to(at::kFloat).view({1, side, side, width}).permute({0, 3, 1, 2});
  const auto resized = at::_upsample_bicubic2d_aa(grid.contiguous(), {new_side, new_side}, /*align_corners=*/false);
  const auto rows = resized.permute({0, 2, 3, 1}).reshape({new_side * new_side, width});
  return at::cat({positions.narrow(0, 0, extra).to(at::kFloat), rows});
}

at::Tensor resize_line(const at::Tensor& positions, std::int64_t new_length) {
  const auto line = positions.to(at::kFloat).t().unsqueeze(0).contiguous();
  return at::upsample_linear1d(line, {new_length}, /*align_corners=*/false).squeeze(0).t().contiguous();
}

NamedTensors with_resized_positions(NamedTensors tensors, const NamedTensors& wanted) {
  for (auto& [name, tensor] : tensors) {
    const auto found = wanted.find(name);
    if (found == wanted.end() || !is_positions(name) || found->second.sizes() == tensor.sizes()) continue;
    const auto& to = found->second;
    if (tensor.dim() < 2 || to.dim() != tensor.dim() || to.size(-1) != tensor.size(-1)) continue;
    if (tensor.numel() == 0 || !tensor.is_floating_point()) continue;
    const auto flat = tensor.flatten(0, -2);
    const auto places = to.numel() / to.size(-1);
    at::Tensor resized;
    if (name.find("vis") == name.npos) {
      resized = resize_line(flat, places);
    } else {
      const std::int64_t extra = square_root(places) ? 0 : 1;
      const auto side = square_root(places - extra);
      if (!side || !square_root(flat.size(0) - extra)) continue;
      resized = resize_grid(flat, *side, extra);
    }
    log_info("{}: {} position embeddings resized to {}", name, flat.size(0), places);
    tensor = resized.view(to.sizes());
  }
  return tensors;
}

}  // namespace vlalign
