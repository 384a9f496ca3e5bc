#include "model/peers/positions.hpp"

#include <ATen/ops/upsample_linear1d.h>

#include "core/check.hpp"
#include "core/log.hpp"
#include "nn/grid_positions.hpp"

namespace vlalign {
namespace {

bool is_positions(const std::string& name) {
  for (const auto* end :
       {"positional_embedding", "pos_embed", "position_embedding.weight", "position_embeddings.weight", "wpe.weight"}) {
    if (name.ends_with(end)) return true;
  }
  return false;
}

/// Of at least one place.
std::optional<std::int64_t> square_side(std::int64_t places) {
  return places > 0 ? nn::grid_side(places) : std::nullopt;
}

/// What a config calls the number of places in front of such a tensor.
const char* places_key(const std::string& name, bool image) {
  if (image) return "image_size";
  if (name.ends_with("wpe.weight")) return "n_positions";
  return name.ends_with("positional_embedding") ? "context_length" : "max_position_embeddings";
}

void check_resizing(const std::string& name, std::int64_t rows, std::int64_t wanted, bool image,
                    const Resizing& resizing, const std::string& where) {
  if (image ? resizing.image : resizing.text) return;
  const auto message = fmt::format("{}: {} has {} rows, and its config's {} stands for {}", where, name, rows,
                                   places_key(name, image), wanted);
  check(resizing.as_peer, "{}; expected the same, or {} that is asked for", message,
        image ? "another image size" : "another context length");
  log_warning("{}; they are resized, as open_clip does it", message);
}

}  // namespace

at::Tensor resize_line(const at::Tensor& positions, std::int64_t new_length) {
  const auto line = positions.to(at::kFloat).t().unsqueeze(0).contiguous();
  return at::upsample_linear1d(line, {new_length}, /*align_corners=*/false).squeeze(0).t().contiguous();
}

NamedTensors with_resized_positions(NamedTensors tensors, const NamedTensors& wanted, PositionsOf of,
                                    const Resizing& resizing, const std::string& where) {
  for (auto& [name, tensor] : tensors) {
    const auto found = wanted.find(name);
    if (found == wanted.end() || !is_positions(name) || found->second.sizes() == tensor.sizes()) continue;
    const auto& to = found->second;
    if (tensor.dim() < 2 || to.dim() != tensor.dim() || to.size(-1) != tensor.size(-1)) continue;
    if (tensor.numel() == 0 || !tensor.is_floating_point()) continue;
    const auto flat = tensor.flatten(0, -2);
    const auto places = to.numel() / to.size(-1);
    at::Tensor resized;
    const bool image = of == PositionsOf::image || (of == PositionsOf::both_towers && name.find("vis") != name.npos);
    check_resizing(name, flat.size(0), places, image, resizing, where);
    if (!image) {
      resized = resize_line(flat, places);
    } else {
      const std::int64_t extra = square_side(places) ? 0 : 1;
      const auto grid = square_side(places - extra);
      if (!grid || !square_side(flat.size(0) - extra)) continue;
      // In double, so that another count of threads rounds to the same floats.
      resized = nn::resize_grid(flat.to(at::kDouble), *grid, extra).to(at::kFloat);
    }
    log_info("{}: {} position embeddings resized to {}", name, flat.size(0), places);
    tensor = resized.view(to.sizes());
  }
  return tensors;
}

}  // namespace vlalign
