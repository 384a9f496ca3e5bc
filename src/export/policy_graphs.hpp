// The graphs of a policy. Internal.
#pragma once

#include <vector>

#include "export/onnx_model.hpp"
#include "vlalign/export/onnx.hpp"

namespace vlalign::onnx {

/// One graph named "policy", or "policy_features" and "policy_step" of a head that matches flows.
std::vector<Model> policy_graphs(const vla::Policy& policy, const OnnxOptions& options);

}  // namespace vlalign::onnx
