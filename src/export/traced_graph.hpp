// A graph of what a module computes. Internal.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "export/onnx_model.hpp"
#include "export/recording.hpp"
#include "export/size.hpp"

namespace vlalign::onnx {

/// What is recorded, and how the graph calls it.
struct TracedGraph {
  std::string name;  ///< the graph's
  std::string what;  ///< of which errors speak, such as "the text tower"
  const torch::nn::Module& module;
  std::function<std::vector<NamedInput>(const Extent&)> inputs;  ///< new ones at random each time; the first has B rows
  Computation computation;
  std::vector<std::string> outputs;  ///< their names
  std::vector<Extent> extents;       ///< as explain() wants them
  std::map<std::string, std::string> metadata{};
};

/// Extents to record: several numbers of rows, and of tokens up to `context_length`, where shorter texts are taken.
///   fixed_length: the only length, 0 for any
std::vector<Extent> row_extents();
std::vector<Extent> text_extents(std::int64_t context_length, std::int64_t fixed_length);

/// Records the computation at each extent, in evaluation mode, and writes it as an ONNX graph of opset 17 whose sizes
/// follow the batch. Throws Error naming the operator that can't be written, or what it depends on.
Model make_graph(const TracedGraph& graph);

}  // namespace vlalign::onnx
