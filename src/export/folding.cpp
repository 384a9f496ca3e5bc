#include "export/folding.hpp"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/grad_mode.h>
#include <ATen/core/jit_type.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

namespace vlalign::onnx {
namespace {

constexpr std::int64_t large = 1 << 22;  // numbers

bool is_known(const Argument& argument) {
  if (const auto* size = std::get_if<Size>(&argument)) return size->is_constant();
  const auto* sizes = std::get_if<std::vector<Size>>(&argument);
  return !sizes || std::all_of(sizes->begin(), sizes->end(), [](const Size& size) { return size.is_constant(); });
}

/// Whether an operator gives the same each time, and nothing that a graph had better not hold: a weight that is
/// rounded to int8 stays one.
bool is_fixed(const Program& program, const Program::Operator& op) {
  constexpr std::array<std::string_view, 7> others{"aten::expand",
                                                   "aten::rand",
                                                   "aten::randn",
                                                   "aten::empty",
                                                   "aten::dropout",
                                                   "aten::bernoulli",
                                                   "aten::fake_quantize_per_channel_affine"};
  if (std::find(others.begin(), others.end(), name_of(op)) != others.end()) return false;
  const auto operands = operands_of(op);
  return std::all_of(operands.begin(), operands.end(), [&](ValueId id) { return program.at(id).constant.defined(); }) &&
         std::all_of(op.arguments.begin(), op.arguments.end(), is_known);
}

bool is_small(const Program& program, const Program::Operator& op) {
  std::int64_t given = 0, made = 0;
  for (const auto id : operands_of(op)) given += program.at(id).constant.numel();
  for (const auto id : op.results) {
    std::int64_t count = 1;
    for (const auto& size : program.at(id).shape) count *= size.constant;
    made += count;
  }
  return made <= std::max(given, large);
}

/// Arguments as the dispatcher takes them.
class BoxedArguments {
 public:
  explicit BoxedArguments(const Program& program) : program_(program) {}

  c10::IValue operator()(const Argument& argument, const c10::TypePtr& type) const {
    if (const auto optional = type->cast<c10::OptionalType>())
      return std::holds_alternative<std::monostate>(argument) ? c10::IValue()
                                                              : (*this)(argument, optional->getElementType());
    if (type->kind() == c10::TypeKind::DeviceObjType) return at::Device(at::kCPU);
    return std::visit([&](const auto& value) { return boxed(value, type); }, argument);
  }

 private:
  c10::IValue boxed(std::monostate, const c10::TypePtr&) const { return {}; }
  c10::IValue boxed(bool flag, const c10::TypePtr&) const { return flag; }
  c10::IValue boxed(double number, const c10::TypePtr&) const { return number; }
  c10::IValue boxed(const std::string& word, const c10::TypePtr&) const { return word; }
  c10::IValue boxed(const Size& size, const c10::TypePtr& type) const {
    if (type->kind() == c10::TypeKind::FloatType) return static_cast<double>(size.constant);
    return size.constant;
  }
  c10::IValue boxed(ValueId id, const c10::TypePtr&) const { return tensor(id); }
  c10::IValue boxed(const std::vector<double>& numbers, const c10::TypePtr&) const { return numbers; }
  c10::IValue boxed(const std::vector<bool>& flags, const c10::TypePtr&) const { return flags; }
  c10::IValue boxed(const std::vector<Size>& sizes, const c10::TypePtr& type) const {
    if (type->castRaw<c10::ListType>() &&
        type->castRaw<c10::ListType>()->getElementType()->kind() == c10::TypeKind::TensorType)
      return std::vector<at::Tensor>();
    std::vector<std::int64_t> all;
    for (const auto& size : sizes) all.push_back(size.constant);
    return all;
  }
  c10::IValue boxed(const std::vector<ValueId>& ids, const c10::TypePtr& type) const {
    const bool optional = type->castRaw<c10::ListType>()->getElementType()->kind() == c10::TypeKind::OptionalType;
    std::vector<at::Tensor> tensors;
    c10::List<std::optional<at::Tensor>> some;
    for (const auto id : ids) {
      tensors.push_back(tensor(id));
      some.push_back(id.is_none() ? std::nullopt : std::optional(tensor(id)));
    }
    return optional ? c10::IValue(some) : c10::IValue(tensors);
  }
  at::Tensor tensor(ValueId id) const { return id.is_none() ? at::Tensor() : program_.at(id).constant; }

  const Program& program_;
};

/// What an operator gives; nothing for one that isn't LibTorch's dispatcher's.
std::optional<std::vector<at::Tensor>> computed(const Program& program, const Program::Operator& op) {
  const auto found = c10::Dispatcher::singleton().findSchema(op.name);
  if (!found || found->schema().arguments().size() != op.arguments.size()) return std::nullopt;
  const BoxedArguments boxed(program);
  torch::jit::Stack stack;
  const auto& expected = found->schema().arguments();
  for (std::size_t i = 0; i < expected.size(); ++i) stack.push_back(boxed(op.arguments[i], expected[i].type()));
  found->callBoxed(stack);
  std::vector<at::Tensor> results;
  for (const auto& result : stack) {
    if (result.isTensorList()) return result.toTensorVector();
    if (!result.isTensor()) return std::nullopt;
    results.push_back(result.toTensor());
  }
  return results;
}

/// What is made of one parameter has its name.
std::string name_of_folded(const Program& program, const Program::Operator& op) {
  std::string name;
  for (const auto id : operands_of(op)) {
    const auto& own = program.at(id).name;
    if (own.empty() || own == name) continue;
    if (!name.empty()) return {};
    name = own;
  }
  return name;
}

}  // namespace

void fold_constants(Program& program) {
  const at::NoGradGuard no_graph;
  std::vector<Program::Operator> left;
  for (auto& op : program.operators) {
    const bool folds = is_fixed(program, op) && is_small(program, op);
    const auto results = folds ? computed(program, op) : std::nullopt;
    if (!results || results->size() != op.results.size()) {
      left.push_back(std::move(op));
      continue;
    }
    const auto name = name_of_folded(program, op);
    for (std::size_t i = 0; i < results->size(); ++i) {
      auto& value = program.values[static_cast<std::size_t>(op.results[i].number)];
      value.constant = (*results)[i];
      value.name = name;
    }
  }
  program.operators = std::move(left);
}

}  // namespace vlalign::onnx
