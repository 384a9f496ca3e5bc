// An ONNX model in memory (github.com/onnx/onnx, docs/IR.md): what its file format has, as far as it is needed here.
// Internal.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

namespace vlalign::onnx {

using AttributeValue =
    std::variant<std::int64_t, double, std::string, std::vector<std::int64_t>, std::vector<double>, at::Tensor>;
using Attributes = std::map<std::string, AttributeValue>;

struct Node {
  std::string operation;  ///< "MatMul"
  std::string name;
  std::vector<std::string> inputs{}, outputs{};  ///< values by their names; "" for an input that is left out
  Attributes attributes{};
};

/// A size, or the name of one that the caller chooses.
using Dimension = std::variant<std::int64_t, std::string>;

/// An input or output.
struct ValueInfo {
  std::string name;
  at::ScalarType dtype;
  std::vector<Dimension> shape;
};

struct Initializer {
  std::string name;
  at::Tensor tensor;  ///< on the CPU, of any strides
};

struct Model {
  std::int64_t opset;
  std::string name;
  std::vector<ValueInfo> inputs{}, outputs{};
  std::vector<Initializer> initializers{};
  std::vector<Node> nodes{};
  std::map<std::string, std::string> metadata{};
};

/// The type's number in a model. Doubles are written as float32, which all engines have. Throws Error for a type that
/// no graph here holds.
std::int64_t element_type(at::ScalarType dtype);

/// The tensor as it is written: contiguous, doubles as float32.
at::Tensor as_written(const at::Tensor& tensor);

}  // namespace vlalign::onnx
