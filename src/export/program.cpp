#include "export/program.hpp"

#include <algorithm>

namespace vlalign::onnx {

std::vector<ValueId> operands_of(const Program::Operator& op) {
  std::vector<ValueId> all;
  for (const auto& argument : op.arguments) {
    if (const auto* one = std::get_if<ValueId>(&argument)) all.push_back(*one);
    if (const auto* several = std::get_if<std::vector<ValueId>>(&argument))
      all.insert(all.end(), several->begin(), several->end());
  }
  std::erase_if(all, [](ValueId id) { return id.is_none(); });
  return all;
}

void drop_unread(Program& program) {
  std::vector<bool> is_read(program.values.size());
  const auto read = [&](ValueId id) { is_read[static_cast<std::size_t>(id.number)] = true; };
  for (const auto id : program.outputs) read(id);
  std::vector<Program::Operator> kept;
  for (auto op = program.operators.rbegin(); op != program.operators.rend(); ++op) {
    const bool needed = std::any_of(op->results.begin(), op->results.end(),
                                    [&](ValueId id) { return is_read[static_cast<std::size_t>(id.number)]; });
    if (!needed) continue;
    for (const auto id : operands_of(*op)) read(id);
    kept.push_back(std::move(*op));
  }
  std::reverse(kept.begin(), kept.end());
  program.operators = std::move(kept);
}

}  // namespace vlalign::onnx
