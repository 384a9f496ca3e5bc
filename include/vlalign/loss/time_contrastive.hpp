#pragma once

#include <cstdint>
#include <functional>

#include "vlalign/core/export.hpp"
#include "vlalign/loss/contrastive_loss.hpp"

namespace vlalign {

/// R3M's loss on video. Needs frames [B, 3, D], of any length: frames z0, z1, z2 of a clip in the order of time. Frames
/// near in time are nearer than those far apart or of other clips, with s(a, b) = -||a - b||_2,
///
///     L = 1/(2B) sum_i [ -s(z1, z2) + log(e^s(z1, z2) + e^s(z0, z2) + sum_{j != i} e^s(z2, z2 of clip j)) ]
///                    + [ -s(z0, z1) + log(e^s(z0, z1) + e^s(z0, z2) + sum_{j != i} e^s(z0, z0 of clip j)) ]
///         + l1 mean ||z||_1 + l2 mean ||z||_2  over all frames z
///
/// plus, if a reward G(first, later, text) is given, what makes it grow as a clip goes on,
///
///     language_weight mean_k mean_i [ -G_k + log(e^G_k + e^G_{k-1} + sum_j e^G(z0 of j, zk of j, text i)) ]
///
/// where G_k = G(z0, zk, text i), k is 1 and 2, and j are the next language_negatives clips of the batch. Throws Error
/// unless frames fit and G gives [B]. Nair et al. 2022 as the authors' code has it, with three changes: a clip has
/// three frames, not two more for the language's start and end; negatives are other clips for certain (a shuffled batch
/// holds one clip in its own place on average); and logarithms of sums are taken exactly (an epsilon inside them caps
/// the loss at 18.4, where its gradient vanishes).
class VLALIGN_EXPORT TimeContrastive : public ContrastiveLoss {
 public:
  /// The reward [n] for having come from the first frame [n, D] to the later one [n, D], told by the text [n, T].
  using Reward = std::function<at::Tensor(const at::Tensor& first, const at::Tensor& later, const at::Tensor& text)>;

  struct Options {
    double l1 = 1e-5;  ///< weight of the mean L1 norm, >= 0, as in the paper
    double l2 = 1e-5;  ///< weight of the mean L2 norm, >= 0, as in the paper
    Reward reward{};
    double language_weight = 1.0;         ///< >= 0
    std::int64_t language_negatives = 3;  ///< at most B - 1 are taken; 3 in the paper
  };

  TimeContrastive() = default;
  explicit TimeContrastive(Options options);

  at::Tensor forward(const ContrastiveBatch& batch) const override;
  std::string name() const override { return "r3m"; }
  std::string options() const override;
  BatchParts uses() const override { return {.frames = 3}; }

 private:
  Options options_;
};

}  // namespace vlalign
