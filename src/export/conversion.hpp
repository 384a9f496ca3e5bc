// One operator of a program on its way into a graph. Internal.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/check.hpp"
#include "export/graph_builder.hpp"
#include "export/program.hpp"

namespace vlalign::onnx {

/// What a row of the operator table works with: the arguments of one operator by their places in its schema, the graph
/// that it adds nodes to, and where it puts its results. An argument that isn't what a row can use is an Error that
/// names the operator.
class Conversion {
 public:
  /// names: of the program's values in the graph, "" for what isn't there yet; what: of which errors speak
  Conversion(const Program& program, const Program::Operator& op, std::vector<Name>& names, GraphBuilder& graph,
             const std::string& what)
      : program_(program), op_(op), names_(names), graph_(graph), what_(what) {}

  GraphBuilder& graph() { return graph_; }
  /// ONNX's operator, where the row names one.
  std::string operation{};

  std::size_t count() const { return op_.arguments.size(); }
  bool is_none(std::size_t i) const;
  /// Whether it is a value of the graph, and no number.
  bool is_tensor(std::size_t i) const;
  bool is_size(std::size_t i) const { return i < count() && std::holds_alternative<Size>(op_.arguments[i]); }

  /// A tensor's type and shape.
  const Program::Value& operand(std::size_t i) const;
  const std::vector<Size>& shape_of(std::size_t i) const { return operand(i).shape; }
  at::ScalarType type_of(std::size_t i) const { return operand(i).dtype; }
  std::int64_t rank_of(std::size_t i) const { return static_cast<std::int64_t>(shape_of(i).size()); }
  Name tensor(std::size_t i) { return name_of_value(id(i)); }
  /// A tensor or a number as a value of that type.
  Name tensor_as(std::size_t i, at::ScalarType dtype);
  const std::vector<ValueId>& list(std::size_t i) const;
  Name name_of_value(ValueId id);
  const Program::Value& at(ValueId id) const { return program_.at(id); }

  Size size(std::size_t i) const;
  std::int64_t integer(std::size_t i) const;
  std::int64_t integer(std::size_t i, std::int64_t otherwise) const { return is_none(i) ? otherwise : integer(i); }
  double number(std::size_t i) const;
  bool flag(std::size_t i, bool otherwise = false) const;
  const std::string& word(std::size_t i) const;
  const std::vector<Size>& sizes(std::size_t i) const;
  std::vector<std::int64_t> integers(std::size_t i) const;
  /// A dimension of a tensor of that rank, counted from the front.
  std::int64_t axis(std::size_t i, std::int64_t rank) const;
  /// Several; all of them where the argument is left out or empty.
  std::vector<std::int64_t> axes(std::size_t i, std::int64_t rank) const;

  const Program::Value& result(std::size_t i = 0) const { return program_.at(op_.results.at(i)); }
  std::size_t results() const { return op_.results.size(); }
  void give(const Name& name, std::size_t i = 0);

  /// Adds a node.
  Name add(std::string_view operation, const Names& inputs, const Attributes& attributes = {}) {
    return graph_.add(operation, inputs, attributes);
  }
  Name reshaped(const Name& value, const std::vector<Size>& from, const std::vector<Size>& to);
  /// Broadcast to a shape.
  Name expanded(const Name& value, const std::vector<Size>& from, const std::vector<Size>& to);

  const std::string& operator_name() const { return name_of(op_); }
  [[noreturn]] void refuse(std::string_view why) const;

 private:
  template <typename Kind>
  const Kind& argument(std::size_t i, const char* expected) const;
  ValueId id(std::size_t i) const;

  const Program& program_;
  const Program::Operator& op_;
  std::vector<Name>& names_;
  GraphBuilder& graph_;
  const std::string& what_;
};

}  // namespace vlalign::onnx
