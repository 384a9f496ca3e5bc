#pragma once

#include <string_view>
#include <variant>

#include "vlalign/core/export.hpp"

namespace vlalign {

/// AdamW (Loshchilov & Hutter 2019) through ATen's fused operator. Defaults are CLIP's (Radford et al. 2021, table 19).
struct AdamWOptions {
  double beta1 = 0.9;         ///< 0 to below 1
  double beta2 = 0.98;        ///< 0 to below 1
  double eps = 1e-6;          ///< > 0
  double weight_decay = 0.2;  ///< >= 0
};

/// LAMB (You et al. 2020, algorithm 2): Adam's update with the decay in it, scaled in each parameter to the norm of the
/// weights; for batches of many thousands. The paper's scaling function is the identity, and the scale 1 where either
/// norm is 0. What isn't decayed isn't scaled either, as in the paper's code and timm: the logit scale or a gain would
/// move by a share of its own size. Defaults are the paper's.
struct LambOptions {
  double beta1 = 0.9;          ///< 0 to below 1
  double beta2 = 0.999;        ///< 0 to below 1
  double eps = 1e-6;           ///< > 0
  double weight_decay = 0.01;  ///< >= 0
};

/// Lion (Chen et al. 2023, algorithm 2): steps of one size, in the direction of the sign of a momentum; one moment in
/// place of AdamW's two. Defaults are the paper's, whose rate is a third to a tenth of AdamW's, with a weight decay
/// larger by as much.
struct LionOptions {
  double beta1 = 0.9;         ///< 0 to below 1
  double beta2 = 0.99;        ///< 0 to below 1
  double weight_decay = 1.0;  ///< >= 0
};

/// Matrices of the towers' layers by Muon (Jordan et al. 2024), all else by AdamW, both with one learning rate: a
/// matrix's update, the momentum made orthogonal, is scaled to the size that AdamW's has, as Liu et al. 2025 have it,
/// by 0.2 sqrt(max(rows, columns)).
///
/// Matrices are the 2-D weights of attention and feed-forward layers; the queries', keys' and values' are three where
/// they are one parameter. Not among them are, as Jordan has it, what stands at a model's ends: token and position
/// tables, the projections of the embeddings, an action head, and convolutions, whose first is a ViT's patches. Nor are
/// LoRA's factors.
struct MuonOptions {
  double momentum = 0.95;     ///< Nesterov's, 0 to below 1
  int newton_schulz = 5;      ///< steps of the iteration that makes the momentum orthogonal, 1 to 20
  double weight_decay = 0.1;  ///< of the matrices, >= 0
  AdamWOptions rest{};
};

using OptimizerOptions = std::variant<AdamWOptions, LambOptions, LionOptions, MuonOptions>;

/// The default options of "adamw", "lamb", "lion" or "muon". Throws Error on another name.
VLALIGN_EXPORT OptimizerOptions parse_optimizer(std::string_view name);
/// The name that parse_optimizer() takes.
VLALIGN_EXPORT std::string_view to_string(const OptimizerOptions& options);

}  // namespace vlalign
