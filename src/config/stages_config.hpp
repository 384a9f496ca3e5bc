// What the configs of towers of stages have in common.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace vlalign {

/// Each throws Error, `where` in front, naming the field, what was expected and what came.
void check_stage_sizes(const std::vector<std::int64_t>& layers, const std::vector<std::int64_t>& widths,
                       const std::string& where);
void check_residual_branches(const std::optional<double>& layer_scale, double drop_path, const std::string& where);

}  // namespace vlalign
