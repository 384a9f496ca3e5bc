#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "vlalign/core/export.hpp"
#include "vlalign/vla/head/action_head.hpp"
#include "vlalign/vla/head/retrieval_head.hpp"
#include "vlalign/vla/part_options.hpp"

namespace vlalign::vla {

/// The names make_head() knows.
VLALIGN_EXPORT const std::vector<std::string_view>& head_names();

/// A head by its name in a configuration, with its defaults but for `options`: mse, l1, huber, bins, flow_matching,
/// retrieval, which alone needs the bank. For actions between -1 and 1. Throws Error that lists them for another name,
/// and its options for another of these.
VLALIGN_EXPORT std::shared_ptr<ActionHead> make_head(std::string_view name, std::int64_t width,
                                                     const ActionShape& shape, const ActionBank& bank,
                                                     nn::Initializer& initializer, const PartOptions& options = {});

}  // namespace vlalign::vla
