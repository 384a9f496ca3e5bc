#pragma once

#include <optional>

#include "vlalign/core/export.hpp"
#include "vlalign/vla/fusion/film.hpp"
#include "vlalign/vla/fusion/token_learner.hpp"

namespace vlalign::vla {

/// relu(FiLM(W visual tokens | pooled text)), all N of them, or what a TokenLearner makes of them (RT-1's order: FiLM,
/// then TokenLearner). For FiLM inside the tower see Film.
class VLALIGN_EXPORT FilmFusion : public Fusion {
 public:
  struct Options {
    std::optional<std::int64_t> learned_tokens{};  ///< M; RT-1's is 8
  };
  FilmFusion(const FusionSizes& sizes, const Options& options, nn::Initializer& initializer);

  std::shared_ptr<nn::Linear> visual_proj;
  std::shared_ptr<FilmLayer> film;
  std::shared_ptr<TokenLearner> token_learner;  ///< null without learned tokens

 protected:
  Tensor fuse(const FusionInput& input) const override;
};

}  // namespace vlalign::vla
