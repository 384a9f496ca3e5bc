// What the tests of fusions feed them.
#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/randn.h>

#include "vlalign/core/normalize.hpp"
#include "vlalign/vla/fusion/fusion.hpp"

namespace vlalign::test {

constexpr std::int64_t batch = 3, length = 5;

inline const vla::FusionSizes sizes{.visual_tokens = 6,
                                    .pooled_visual = 7,
                                    .maps = {4, 5},
                                    .text_tokens = 9,
                                    .pooled_text = 10,
                                    .joint = 6,
                                    .state = 3,
                                    .width = 8};

/// Texts of 5, 3 and 1 tokens.
inline vla::FusionInput random_input() {
  return {.visual_tokens = at::randn({batch, 4, sizes.visual_tokens}),
          .pooled_visual = at::randn({batch, sizes.pooled_visual}),
          .maps = {at::randn({batch, 4, 3, 2}), at::randn({batch, 5, 5})},
          .text_tokens = at::randn({batch, length, sizes.text_tokens}),
          .text_mask = at::arange(length).unsqueeze(0) < 5 - 2 * at::arange(batch).unsqueeze(1),
          .joint_visual = l2_normalize(at::randn({batch, 4, sizes.joint})),
          .joint_words = l2_normalize(at::randn({batch, length, sizes.joint})),
          .pooled_text = at::randn({batch, sizes.pooled_text}),
          .state = at::randn({batch, sizes.state})};
}

}  // namespace vlalign::test
