#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "vlalign/core/export.hpp"
#include "vlalign/vla/fusion/fusion.hpp"
#include "vlalign/vla/part_options.hpp"

namespace vlalign::vla {

/// The names make_fusion() knows.
VLALIGN_EXPORT const std::vector<std::string_view>& fusion_names();

/// A fusion by its name in a configuration, with its defaults but for `options`: early, late_concat, late_product,
/// film, token_learner (8 of them), tiled_product, text_queries, visual_queries, attention_pooling, pointing. Throws
/// Error that lists them for another name, and its options for another of these.
VLALIGN_EXPORT std::shared_ptr<Fusion> make_fusion(std::string_view name, const FusionSizes& sizes,
                                                   nn::Initializer& initializer, const PartOptions& options = {});

}  // namespace vlalign::vla
