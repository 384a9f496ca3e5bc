// A model's preprocessing as a graph. Internal.
#pragma once

#include "export/onnx_model.hpp"
#include "vlalign/image/transform.hpp"

namespace vlalign::onnx {

/// picture, uint8 [H, W, 3] of any size (RGB, upright, without transparency), to pixels float32 [1, 3, S, S],
/// normalised. Opset 18, whose Resize has PIL's filters; the result is rounded to 8 bits once, where PIL rounds between
/// its two passes too.
Model preprocess_graph(const Preprocess& how);

}  // namespace vlalign::onnx
