#pragma once

#include <variant>

namespace vlalign {

/// Defaults are CLIP's (Radford et al. 2021, table 19).
struct AdamWOptions {
  double beta1 = 0.9;         ///< 0 to below 1
  double beta2 = 0.98;        ///< 0 to below 1
  double eps = 1e-6;          ///< > 0
  double weight_decay = 0.2;  ///< >= 0
};

/// Defaults are the paper's (You et al. 2020).
struct LambOptions {
  double beta1 = 0.9;          ///< 0 to below 1
  double beta2 = 0.999;        ///< 0 to below 1
  double eps = 1e-6;           ///< > 0
  double weight_decay = 0.01;  ///< >= 0
};

/// Defaults are the paper's (Chen et al. 2023), whose rate is a third to a tenth of AdamW's, with a weight decay larger
/// by as much.
struct LionOptions {
  double beta1 = 0.9;         ///< 0 to below 1
  double beta2 = 0.99;        ///< 0 to below 1
  double weight_decay = 1.0;  ///< >= 0
};

/// Matrices of the towers' layers by Muon (Jordan et al. 2024), all else by AdamW, both with one learning rate: a
/// matrix's update is scaled to the size that AdamW's has, as Liu et al. 2025 have it.
struct MuonOptions {
  double momentum = 0.95;     ///< 0 to below 1
  int newton_schulz = 5;      ///< steps of the iteration that makes the momentum orthogonal, 1 to 20
  double weight_decay = 0.1;  ///< of the matrices, >= 0
  AdamWOptions rest{};
};

using OptimizerOptions = std::variant<AdamWOptions, LambOptions, LionOptions, MuonOptions>;

}  // namespace vlalign
