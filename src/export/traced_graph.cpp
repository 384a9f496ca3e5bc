#include "export/traced_graph.hpp"

#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "core/check.hpp"
#include "export/folding.hpp"
#include "export/graph_builder.hpp"
#include "export/merged_program.hpp"
#include "export/operator_table.hpp"

namespace vlalign::onnx {
namespace {

constexpr std::int64_t graph_opset = 17;  // the first with LayerNormalization

/// What a module keeps for later it has before it is recorded.
void run_once(const TracedGraph& graph) {
  std::vector<at::Tensor> given;
  for (const auto& input : graph.inputs(graph.extents.front())) given.push_back(input.tensor);
  const at::NoGradGuard no_graph;
  graph.computation(given);
}

Program program_of(const TracedGraph& graph) {
  run_once(graph);
  std::vector<Program> recordings;
  for (const auto& extent : graph.extents)
    recordings.push_back(record(graph.module, graph.inputs(extent), graph.computation, graph.what));
  auto program = merged(recordings, graph.extents, graph.what);
  fold_constants(program);
  drop_unread(program);
  return program;
}

ValueInfo info_of(const Program::Value& value, std::string name) {
  ValueInfo info{.name = std::move(name), .dtype = value.dtype, .shape = {}};
  for (const auto& size : value.shape) {
    if (size.is_constant()) {
      info.shape.emplace_back(size.constant);
    } else {
      const bool rows = size == Size{.per_row = 1}, tokens = size == Size{.per_token = 1};
      info.shape.emplace_back(rows ? "batch" : tokens ? "length" : to_string(size));
    }
  }
  return info;
}

/// The inputs' dimensions that are B and L.
SizeSources sources_of(const Program& program) {
  SizeSources sources;
  for (const auto id : program.inputs) {
    const auto& value = program.at(id);
    for (std::size_t i = 0; i < value.shape.size(); ++i) {
      const std::pair<Name, std::int64_t> here{value.name, i};
      if (value.shape[i] == Size{.per_row = 1} && sources.rows.first.empty()) sources.rows = here;
      if (value.shape[i] == Size{.per_token = 1} && sources.tokens.first.empty()) sources.tokens = here;
    }
  }
  return sources;
}

}  // namespace

std::vector<Extent> row_extents() { return {{2}, {3}, {5}}; }

std::vector<Extent> text_extents(std::int64_t context_length, std::int64_t fixed_length) {
  constexpr std::int64_t shortest = 6;  // for three lengths below the context
  if (fixed_length > 0 || context_length < shortest) {
    const auto length = fixed_length > 0 ? fixed_length : context_length;
    return {{2, length}, {3, length}, {5, length}};
  }
  const auto longest = std::min<std::int64_t>(context_length - 1, 11);
  const auto middle = longest - 2, short_one = longest - 3;
  return {{2, short_one}, {3, short_one}, {2, middle}, {3, middle}, {5, longest}};
}

Model make_graph(const TracedGraph& graph) {
  const auto program = program_of(graph);
  GraphBuilder builder(graph.name, graph_opset, sources_of(program));
  std::vector<Name> inputs;
  for (const auto id : program.inputs)
    inputs.push_back(builder.add_input(info_of(program.at(id), program.at(id).name)));
  const auto outputs = add_program(program, inputs, builder, graph.what);
  for (std::size_t i = 0; i < outputs.size(); ++i)
    builder.add_output(info_of(program.at(program.outputs[i]), graph.outputs.at(i)), outputs[i]);
  return std::move(builder).finish(graph.metadata);
}

}  // namespace vlalign::onnx
