#include "export/onnx_model.hpp"

#include "core/check.hpp"

namespace vlalign::onnx {

std::int64_t element_type(at::ScalarType dtype) {
  switch (dtype) {  // TensorProto.DataType
    case at::kFloat:
    case at::kDouble:
      return 1;
    case at::kByte:
      return 2;
    case at::kChar:
      return 3;
    case at::kInt:
      return 6;
    case at::kLong:
      return 7;
    case at::kBool:
      return 9;
    default:
      fail("[export] no graph is made of numbers of the type {}", c10::toString(dtype));
  }
}

at::Tensor as_written(const at::Tensor& tensor) {
  return (tensor.scalar_type() == at::kDouble ? tensor.to(at::kFloat) : tensor).contiguous();
}

}  // namespace vlalign::onnx
