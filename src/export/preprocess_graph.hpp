// A model's preprocessing as a graph. Internal.
#pragma once

#include "export/onnx_model.hpp"
#include "vlalign/image/transform.hpp"

namespace vlalign::onnx {

/// picture, uint8 [H, W, 3] of any size (RGB, upright, without transparency), to pixels float32 [1, 3, S, S],
/// normalised. Opset 18, whose Resize has PIL's filters: along the rows, then along the columns, each rounded to 8
/// bits.
Model preprocess_graph(const Preprocess& how);

}  // namespace vlalign::onnx
