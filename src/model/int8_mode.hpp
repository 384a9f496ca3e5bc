// A model's calls in int8. Internal.
#pragma once

#include "nn/int8_product.hpp"
#include "vlalign/model/dual_encoder.hpp"

namespace vlalign {

/// Int8Mode for a call of the model. Throws Error where it asks for int8 and the model can't.
nn::Int8Mode checked_mode(const DualEncoder& model, Precision precision);

}  // namespace vlalign
