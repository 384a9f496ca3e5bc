// A model's calls in int8. Internal.
#pragma once

#include "nn/int8_product.hpp"
#include "vlalign/model/dual_encoder.hpp"

namespace vlalign {

/// Int8Mode for a call of the model. Throws Error where it asks for int8 and the model can't.
nn::Int8Mode checked_mode(const DualEncoder& model, Precision precision);

/// Takes a model its columns, with a warning, where its weights are about to be others than they were measured with.
void drop_columns(DualEncoder model, std::string_view why);

}  // namespace vlalign
