// What a tower computes, as a list of operators. Internal.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/operator_name.h>

#include <string>
#include <variant>
#include <vector>

#include "export/size.hpp"

namespace vlalign::onnx {

/// A value of a program, by its place in Program::values; none for an argument that was left out.
struct ValueId {
  static constexpr int nothing = -1;
  int number = nothing;

  bool is_none() const { return number == nothing; }
  friend bool operator==(const ValueId&, const ValueId&) = default;
};

/// What an operator was given. Integers are sizes, since a program can't tell them apart; what no graph needs (devices,
/// generators) is left out.
using Argument = std::variant<std::monostate, ValueId, std::vector<ValueId>, Size, std::vector<Size>, double,
                              std::vector<double>, bool, std::vector<bool>, std::string>;

struct Program {
  struct Value {
    at::ScalarType dtype = at::kFloat;
    std::vector<Size> shape{};
    at::Tensor constant{};  ///< a parameter, a buffer or another number of the tower's; undefined in what is computed
    std::string name{};     ///< of an input, a parameter or a buffer
  };
  struct Operator {
    c10::OperatorName name;
    std::vector<Argument> arguments;  ///< as its schema lists them
    std::vector<ValueId> results;
  };

  const Value& at(ValueId id) const { return values[static_cast<std::size_t>(id.number)]; }

  std::vector<Value> values{};
  std::vector<Operator> operators{};
  std::vector<ValueId> inputs{}, outputs{};
};

/// "aten::add"
inline const std::string& name_of(const Program::Operator& op) { return op.name.name; }

/// The values that an operator reads.
std::vector<ValueId> operands_of(const Program::Operator& op);

/// The program without operators whose results nobody reads.
void drop_unread(Program& program);

}  // namespace vlalign::onnx
