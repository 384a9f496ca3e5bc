#include "export/recording.hpp"

#include <ATen/core/grad_mode.h>
#include <torch/csrc/jit/frontend/tracer.h>
#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/ir/ir.h>

#include <unordered_map>
#include <unordered_set>

#include "core/check.hpp"

namespace vlalign::onnx {
namespace {

namespace jit = torch::jit;

/// A parameter or buffer appears under the first of its names.
std::vector<NamedInput> weights_of(const torch::nn::Module& module) {
  std::vector<NamedInput> all;
  std::unordered_set<const void*> seen;
  const auto add = [&](const auto& items) {
    for (const auto& item : items)
      if (item.value().defined() && seen.insert(item.value().unsafeGetTensorImpl()).second)
        all.push_back({item.key(), item.value()});
  };
  add(module.named_parameters());
  add(module.named_buffers());
  return all;
}

/// Makes a Program of the tracer's graph.
class ProgramReader {
 public:
  ProgramReader(const std::string& what, std::size_t inputs, const std::vector<NamedInput>& all)
      : what_(what), inputs_(inputs), all_(all) {}

  Program read(const jit::Graph& graph) {
    for (std::size_t i = 0; i < all_.size(); ++i) read_input(*graph.inputs()[i], i);
    for (const auto* node : graph.nodes()) read_node(*node);
    for (const auto* output : graph.outputs()) program_.outputs.push_back(id_of(*output));
    drop_unread(program_);
    return std::move(program_);
  }

 private:
  void read_input(const jit::Value& value, std::size_t i) {
    const auto id = add(value, all_[i].name);
    if (i < inputs_) return program_.inputs.push_back(id);
    program_.values.back().constant = all_[i].tensor.detach().cpu();
  }

  ValueId add(const jit::Value& value, std::string name = {}) {
    Program::Value own{.name = std::move(name)};
    if (const auto type = value.type()->cast<c10::TensorType>()) {
      own.dtype = type->scalarType().value_or(at::kFloat);
      if (const auto sizes = type->sizes().concrete_sizes())
        for (const auto size : *sizes) own.shape.push_back({.constant = size});
    }
    program_.values.push_back(std::move(own));
    const ValueId id{static_cast<int>(program_.values.size()) - 1};
    ids_[&value] = id;
    return id;
  }

  ValueId id_of(const jit::Value& value) {
    if (const auto found = ids_.find(&value); found != ids_.end()) return found->second;
    const auto constant = jit::toIValue(&value);
    check(constant && (constant->isTensor() || constant->isNone()), "[export] {}: {} gives no tensor", what_,
          value.node()->kind().toQualString());
    if (constant->isNone() || !constant->toTensor().defined()) return {};
    const auto tensor = constant->toTensor().detach().cpu();
    const auto id = add(value);
    program_.values.back() = {.dtype = tensor.scalar_type(), .constant = tensor};
    for (const auto size : tensor.sizes()) program_.values.back().shape.push_back({.constant = size});
    return id;
  }

  void read_node(const jit::Node& node) {
    const auto kind = node.kind();
    if (kind == c10::prim::Constant || kind == c10::prim::ListConstruct || kind == c10::prim::ListUnpack) return;
    Program::Operator op{.name = {kind.toQualString(), ""}, .arguments = {}, .results = {}};
    if (const auto* schema = node.maybeSchema()) {
      op.name.overload_name = schema->overload_name();
      look_for_writes(node, *schema);
    }
    if (op.name.name.ends_with('_')) op.name.name.pop_back();  // relu_ as relu
    for (const auto* input : node.inputs()) op.arguments.push_back(argument_of(*input));
    // Whether a table's gradient is sparse depends on the batch, and no graph asks.
    if (kind == c10::aten::embedding && op.arguments.size() == 5) op.arguments[4] = false;
    for (const auto* output : node.outputs()) add_results(op, *output);
    program_.operators.push_back(std::move(op));
  }

  /// A list of tensors is unpacked by a node of its own.
  void add_results(Program::Operator& op, const jit::Value& output) {
    const bool is_list = output.uses().size() == 1 && output.uses()[0].user->kind() == c10::prim::ListUnpack;
    if (!is_list) return op.results.push_back(add(output));
    for (const auto* part : output.uses()[0].user->outputs()) op.results.push_back(add(*part));
  }

  Argument argument_of(const jit::Value& value) {
    if (value.type()->isSubtypeOf(*c10::TensorType::get())) return id_of(value);
    if (value.node()->kind() == c10::prim::ListConstruct) return list_of(*value.node());
    if (const auto constant = jit::toIValue(&value)) return argument_of(*constant);
    return id_of(value);
  }

  Argument list_of(const jit::Node& list) {
    std::vector<ValueId> values;
    std::vector<Size> sizes;
    std::vector<double> numbers;
    std::vector<bool> flags;
    for (const auto* element : list.inputs()) {
      const auto one = argument_of(*element);
      if (const auto* id = std::get_if<ValueId>(&one)) values.push_back(*id);
      if (std::holds_alternative<std::monostate>(one)) values.push_back({});
      if (const auto* size = std::get_if<Size>(&one)) sizes.push_back(*size);
      if (const auto* number = std::get_if<double>(&one)) numbers.push_back(*number);
      if (const auto* flag = std::get_if<bool>(&one)) flags.push_back(*flag);
    }
    if (!values.empty()) return values;
    if (!numbers.empty()) return numbers;
    if (!flags.empty()) return flags;
    return sizes;
  }

  Argument argument_of(const c10::IValue& constant) {
    if (constant.isBool()) return constant.toBool();
    if (constant.isInt()) return Size{.constant = constant.toInt()};
    if (constant.isDouble()) return constant.toDouble();
    if (constant.isString()) return constant.toStringRef();
    if (constant.isDoubleList()) return constant.toDoubleVector();
    if (constant.isBoolList()) {
      const auto list = constant.toBoolList();
      return std::vector<bool>(list.begin(), list.end());
    }
    if (!constant.isIntList()) return std::monostate();
    std::vector<Size> sizes;
    for (const auto size : constant.toIntVector()) sizes.push_back({.constant = size});
    return sizes;
  }

  /// An operator that writes into its argument gives a new value in a graph, which is right as long as no other name
  /// for the same memory is about.
  void look_for_writes(const jit::Node& node, const c10::FunctionSchema& schema) {
    const auto& arguments = schema.arguments();
    const bool is_view =
        !schema.returns().empty() && schema.returns()[0].alias_info() && !schema.returns()[0].alias_info()->isWrite();
    for (std::size_t i = 0; i < arguments.size() && i < node.inputs().size(); ++i) {
      const auto* alias = arguments[i].alias_info();
      if (!alias) continue;
      const auto* operand = node.inputs()[i];
      if (alias->isWrite() && (viewed_.contains(operand) || operand->node()->kind() == c10::prim::Param))
        fail(
            "[export] {}: {} writes into a part of a tensor, which no graph can say: use an operator that gives a new "
            "tensor",
            what_, node.kind().toQualString());
      if (is_view) viewed_.insert(operand);
    }
    if (is_view) viewed_.insert(node.outputs().begin(), node.outputs().end());
  }

  const std::string& what_;
  std::size_t inputs_;
  const std::vector<NamedInput>& all_;
  Program program_;
  std::unordered_map<const jit::Value*, ValueId> ids_;
  std::unordered_set<const jit::Value*> viewed_;
};

jit::Stack stack_of(const std::vector<NamedInput>& inputs) {
  jit::Stack stack;
  for (const auto& input : inputs) stack.emplace_back(input.tensor);
  return stack;
}

}  // namespace

Program record(const torch::nn::Module& module, const std::vector<NamedInput>& inputs, const Computation& computation,
               const std::string& what) {
  auto all = inputs;
  const auto weights = weights_of(module);
  all.insert(all.end(), weights.begin(), weights.end());
  const auto traced = [&](const jit::Stack& stack) {
    const jit::tracer::NoWarn quiet;
    std::vector<at::Tensor> given;
    for (std::size_t i = 0; i < inputs.size(); ++i) given.push_back(stack[i].toTensor());
    jit::Stack results;
    for (const auto& result : computation(given)) results.emplace_back(result);
    return results;
  };
  const at::AutoGradMode with_graph(true);  // the plain operators
  try {
    const auto [state, results] = jit::tracer::trace(
        stack_of(all), traced, [](const at::Tensor&) { return std::string(); }, /*strict=*/true);
    return ProgramReader(what, inputs.size(), all).read(*state->graph);
  } catch (const c10::Error& error) {
    fail("[export] {} cannot be recorded: {}", what, error.what_without_backtrace());
  }
}

}  // namespace vlalign::onnx
