// A Vision Transformer on pictures of several shapes in one batch (Tschannen et al. 2025, "SigLIP 2", NaFlex).
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>

#include <map>
#include <vector>

#include "core/check.hpp"
#include "nn/grid_positions.hpp"
#include "vlalign/nn/text_transformer.hpp"
#include "vlalign/nn/vit.hpp"

namespace vlalign::nn {
namespace {

void check_patches(const Patches& patches, const VitConfig& config) {
  check(config.most_patches > 0, "[Vit] patches: the tower takes pictures of one size alone (most_patches is 0)");
  const auto width = 3 * config.patch_size * config.patch_size;
  const auto& [pixels, grids] = patches;
  const bool fits = pixels.defined() && pixels.is_floating_point() && pixels.dim() == 3 && pixels.numel() > 0 &&
                    pixels.size(2) == width;
  check(fits, "[Vit] patches: expected floating [B, N, {}]", width);
  const bool sized = grids.defined() && grids.is_cpu() && grids.scalar_type() == at::kLong && grids.dim() == 2 &&
                     grids.size(0) == pixels.size(0) && grids.size(1) == 2;
  check(sized, "[Vit] grids: expected int64 [{}, 2] on a CPU", pixels.size(0));
  const auto rows = grids.select(1, 0), columns = grids.select(1, 1);
  const bool positive = grids.ge(1).logical_and(grids.le(pixels.size(1))).all().item<bool>();
  check(positive && (rows * columns).le(pixels.size(1)).all().item<bool>(),
        "[Vit] grids: expected 1 to {} patches a picture", pixels.size(1));
}

/// Of the keys that count, [B, 1, 1, L]; `prefix` in front always do.
at::Tensor key_mask(const at::Tensor& seen, std::int64_t prefix, const at::TensorOptions& options) {
  const auto in_front = at::ones({seen.size(0), prefix}, seen.options());
  return additive_mask(at::cat({in_front, seen}, 1), options).unsqueeze(1).unsqueeze(1);
}

}  // namespace

at::Tensor Vit::positions(const at::Tensor& grids, std::int64_t count) const {
  const auto size_of = grids.contiguous();
  const auto* sizes = size_of.const_data_ptr<std::int64_t>();
  std::map<std::pair<std::int64_t, std::int64_t>, std::int64_t> numbers;
  std::vector<std::int64_t> which;
  std::vector<at::Tensor> tables;
  for (std::int64_t b = 0; b < grids.size(0); ++b) {
    const std::pair grid{sizes[2 * b], sizes[2 * b + 1]};
    const auto [found, is_new] = numbers.emplace(grid, std::ssize(tables));
    which.push_back(found->second);
    if (!is_new) continue;
    const bool own = grid.first == grid.second && grid.first * grid.second == positional_embedding.size(0);
    const auto table =
        own ? positional_embedding
            : resize_grid(positional_embedding, GridSize{grid.first, grid.second}, config_.position_resize);
    tables.push_back(at::constant_pad_nd(table, {0, 0, 0, count - table.size(0)}));
  }
  return at::stack(tables).index_select(0, at::tensor(which).to(positional_embedding.device()));
}

std::pair<at::Tensor, at::Tensor> Vit::placed(const Patches& patches, at::ScalarType compute) const {
  check_patches(patches, config_);
  const auto& [pixels, grids] = patches;
  const auto count = pixels.size(1);
  auto tokens = patch_embedding->forward(pixels.to(compute));
  if (positional_embedding.defined()) tokens = tokens + positions(grids, count).to(compute);
  if (registers.defined()) tokens = at::cat({registers.to(compute).expand({tokens.size(0), -1, -1}), tokens}, 1);
  if (ln_pre) tokens = ln_pre->forward(tokens);
  const auto own = grids.prod(1, /*keepdim=*/true);
  return {tokens, (at::arange(count, grids.options()).unsqueeze(0) < own).to(pixels.device())};
}

at::Tensor Vit::pool(const at::Tensor& tokens, const at::Tensor& seen) const {
  const auto patches = patches_of(tokens);
  if (attention_head)
    return attention_head->forward(ln_post->forward(patches), key_mask(seen, 0, tokens.options().requires_grad(false)));
  return config_.norm_after_pool ? ln_post->forward(masked_mean(patches, seen))
                                 : masked_mean(ln_post->forward(patches), seen);
}

at::Tensor Vit::forward(const Patches& patches, at::ScalarType compute) {
  const auto [tokens, seen] = placed(patches, compute);
  const auto mask = key_mask(seen, prefix(), tokens.options().requires_grad(false));
  return pool(transformer->forward(tokens, mask), seen);
}

Features Vit::features(const Patches& patches, at::ScalarType compute, std::span<const std::int64_t> layers) {
  const auto wanted = resolve_layers(layers, config_.layers);
  const auto [tokens, seen] = placed(patches, compute);
  std::vector<at::Tensor> outputs;
  const auto mask = key_mask(seen, prefix(), tokens.options().requires_grad(false));
  const auto y = transformer->forward(tokens, mask, &outputs);
  Features features;
  features.pooled = pool(y, seen);
  features.tokens = config_.norm_after_pool ? patches_of(y) : ln_post->forward(patches_of(y));
  features.mask = seen;
  for (const auto layer : wanted) features.hidden.push_back(outputs[static_cast<std::size_t>(layer)]);
  return features;
}

}  // namespace vlalign::nn
