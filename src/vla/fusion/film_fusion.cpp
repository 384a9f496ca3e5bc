#include "vlalign/vla/fusion/film_fusion.hpp"

#include <ATen/ops/relu.h>

namespace vlalign::vla {

FilmFusion::FilmFusion(const FusionSizes& sizes, const Options& options, nn::Initializer& initializer)
    : Fusion("FilmFusion", sizes, {.visual_tokens = true, .pooled_text = true}, initializer) {
  visual_proj = projection("visual_proj", sizes.visual_tokens, initializer);
  film = register_module("film", std::make_shared<FilmLayer>(sizes.pooled_text, sizes.width, initializer));
  if (options.learned_tokens)
    token_learner = register_module("token_learner",
                                    std::make_shared<TokenLearner>(sizes.width, *options.learned_tokens, initializer));
}

Tensor FilmFusion::fuse(const FusionInput& input) const {
  const auto tokens = at::relu(film->forward(visual_proj->forward(input.visual_tokens), input.pooled_text));
  const auto seen = token_learner ? token_learner->forward(tokens, logit_weights(input, tokens.scalar_type()))
                                  : weighted(tokens, input);
  return with_state(seen, input);
}

}  // namespace vlalign::vla
