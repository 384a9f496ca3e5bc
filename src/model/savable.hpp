// Whether a model can be written, asked before hours of training rather than behind them.
#pragma once

#include "vlalign/model/dual_encoder.hpp"

namespace vlalign {

/// Throws Error, as DualEncoder::save() would, when the model's layout can't hold its config or its tokenizer.
void check_savable(const DualEncoder& model);

/// Everything of a model folder but the weights, checked to come back the same.
void write_description(const std::filesystem::path& folder, const DualEncoder& model);

}  // namespace vlalign
