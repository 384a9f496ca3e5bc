// How each of ATen's operators is written in ONNX. Internal.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "export/conversion.hpp"

namespace vlalign::onnx {

struct OperatorRow {
  std::string_view name;       ///< ATen's: "aten::add"
  void (*write)(Conversion&);  ///< adds the nodes, and gives the results
  const char* operation = "";  ///< ONNX's, for rows that several operators share
};

/// Null where there is none.
const OperatorRow* find_row(std::string_view name);

/// Adds a program's operators to a graph.
///   inputs: the names of the program's inputs there
///   what: of which errors speak
/// Returns the names of its outputs. Throws Error naming an operator without a row, or with arguments that its row
/// can't write.
std::vector<Name> add_program(const Program& program, const std::vector<Name>& inputs, GraphBuilder& graph,
                              const std::string& what);

}  // namespace vlalign::onnx
