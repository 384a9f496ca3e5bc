#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace vlalign {

/// Which parameters of a trained model move in a run, and how fast. A tower's groups go from the input to the output:
/// stem, blocks (or stages), the last with the final norm, then the projection, where there is one. `vlalign inspect
/// --parameters` lists names and groups.
struct FineTuning {
  std::vector<std::string> freeze{};  ///< glob patterns (*, ?) on parameter names: {"text.token_embedding.*"}

  /// A factor on the learning rate of the parameters that fit a pattern: {{"encoder.*", 0.1}}. Several multiply.
  struct Rate {
    std::string pattern;
    double factor = 1.0;
  };
  std::vector<Rate> rates{};

  /// Freezes a tower but for its last n groups (LiT, Zhai et al. 2022), as open_clip's lock().
  std::optional<std::int64_t> lock_image{}, lock_text{};

  /// Batch norms keep and use their running statistics, gain and bias: those of locked groups, or all where no tower is
  /// locked.
  bool freeze_batch_norm = false;

  /// A group's learning rate is this to the power of the number of groups above it in its tower (Bao et al. 2022,
  /// BEiT); projections, scale and bias have the whole rate. From 0 to 1.
  double layer_decay = 1.0;
};

}  // namespace vlalign
