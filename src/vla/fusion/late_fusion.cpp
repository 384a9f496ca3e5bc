#include "vlalign/vla/fusion/late_fusion.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>

#include "vla/check_shape.hpp"

namespace vlalign::vla {

LateFusion::LateFusion(const FusionSizes& sizes, const Options& options, nn::Initializer& initializer)
    : Fusion("LateFusion", sizes, {.pooled_visual = true, .pooled_text = true}, initializer), join_(options.join) {
  check_size(options.hidden, "LateFusion", "hidden");
  visual_proj = projection("visual_proj", sizes.pooled_visual, initializer);
  text_proj = projection("text_proj", sizes.pooled_text, initializer);
  const auto parts = (join_ == Join::concatenate ? 2 : 1) + (state_proj ? 1 : 0);
  mlp = register_module(
      "mlp", std::make_shared<nn::FeedForward>(parts * sizes.width, options.hidden, sizes.width, initializer));
}

Tensor LateFusion::fuse(const FusionInput& input) const {
  const auto visual = visual_proj->forward(input.pooled_visual), text = text_proj->forward(input.pooled_text);
  auto joined = join_ == Join::concatenate ? at::cat({visual, text}, 1) : visual * text;
  if (state_proj) joined = at::cat({joined, state_proj->forward(input.state)}, 1);
  return mlp->forward(joined).unsqueeze(1);
}

}  // namespace vlalign::vla
