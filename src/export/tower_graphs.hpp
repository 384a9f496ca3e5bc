// The graphs of a DualEncoder's towers. Internal.
#pragma once

#include "export/onnx_model.hpp"
#include "vlalign/export/onnx.hpp"

namespace vlalign::onnx {

Model image_graph(const DualEncoder& model, const OnnxOptions& options);
Model text_graph(const DualEncoder& model, const OnnxOptions& options);

}  // namespace vlalign::onnx
