#pragma once

#include <torch/nn/module.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "vlalign/config/features.hpp"
#include "vlalign/core/export.hpp"
#include "vlalign/nn/layer_hook.hpp"

namespace vlalign::nn {

/// What a tower takes in place of what its config says. A run in stages sets it for each step (Stage), and nothing else
/// does: without it a picture of another size is an Error.
struct InputSizes {
  /// Pixels a side of an image tower's pictures. A table of positions is resized to them (open_clip's
  /// resize_pos_embed), and learns through that.
  std::optional<std::int64_t> image_size{};
  std::optional<std::int64_t> context_length{};  ///< the most tokens of a text, and those that a tower pads it up to
  std::optional<double> patch_dropout{};         ///< share of a ViT's patches left out while it trains
};

/// What a DualEncoder is made of: anything that turns a batch into one feature vector each. Derive from it to bring a
/// tower of your own (examples/custom_tower.cpp).
class VLALIGN_EXPORT Tower : public torch::nn::Module {
 public:
  /// x: normalised pixels float32 [B, 3, S, S] for an image tower, token ids int64 [B, L] for a text tower.
  /// compute: float32 or bfloat16, what the arithmetic should run in; a tower may ignore it.
  /// Returns pooled features [B, width()] in any floating dtype.
  virtual at::Tensor forward(const at::Tensor& x, at::ScalarType compute) = 0;

  virtual std::int64_t width() const = 0;

  /// forward() with all it computed on the way; everything but the embedding, which the projection gives. layers: which
  /// blocks' (or stages') outputs go to `hidden`, counted from 0; negative ones from the end. Throws Error for a layer
  /// that isn't there. A tower that doesn't override it gives the pooled features alone.
  virtual Features features(const at::Tensor& x, at::ScalarType compute, std::span<const std::int64_t> layers);

  /// features() with a hook behind each layer, for FiLM and the like; without one the same bits as features(). Image
  /// towers have it; one that doesn't override it throws Error.
  virtual Features hooked_features(const at::Tensor& x, at::ScalarType compute, std::span<const std::int64_t> layers,
                                   const LayerHook& hook);
  /// Channels of each layer's output, as features() counts layers; empty in a tower without hidden states.
  virtual std::vector<std::int64_t> layer_widths() const { return {}; }

  /// A tower's parameters belong to groups from the input (0) to the output (group_count() - 1): stem, blocks, the last
  /// with the final norm. Locking and layer-wise learning rates go by them.
  virtual std::int64_t group_count() const { return 1; }
  /// name: of a parameter, relative to the tower.
  virtual std::int64_t group_of(std::string_view name) const;

  InputSizes input{};  ///< the config's unless set; a tower of one's own may go by it too

 protected:
  /// Where in `layers` (negative counted from the end of `count`) a layer's output goes; checks them.
  static std::vector<std::int64_t> resolve_layers(std::span<const std::int64_t> layers, std::int64_t count);
};

}  // namespace vlalign::nn
