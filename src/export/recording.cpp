#include "export/recording.hpp"

#include <ATen/core/grad_mode.h>
#include <torch/csrc/jit/frontend/tracer.h>
#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/ir/ir.h>
#include <torch/csrc/jit/passes/normalize_ops.h>

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
    const auto* schema = node.maybeSchema();
    if (schema) op.name.overload_name = schema->overload_name();
    if (op.name.name.ends_with('_')) {
      check_write(node);
      op.name.name.pop_back();  // relu_ as relu
    }
    if (schema) note_views(node, *schema);
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
  void check_write(const jit::Node& node) const {
    const auto* operand = node.inputs().empty() ? nullptr : node.inputs()[0];
    if (!operand || !viewed_.contains(operand)) return;
    fail(
        "[export] {}: {} writes into a tensor that others see a part of, which no graph can say: use an operator that "
        "gives a new tensor",
        what_, node.kind().toQualString());
  }

  void note_views(const jit::Node& node, const c10::FunctionSchema& schema) {
    const auto* result = schema.returns().empty() ? nullptr : schema.returns()[0].alias_info();
    if (!result || result->isWrite()) return;
    if (!node.inputs().empty()) viewed_.insert(node.inputs()[0]);
    viewed_.insert(node.outputs().begin(), node.outputs().end());
  }

  const std::string& what_;
  std::size_t inputs_;
  const std::vector<NamedInput>& all_;
  Program program_;
  std::unordered_map<const jit::Value*, ValueId> ids_;
  std::unordered_set<const jit::Value*> viewed_;
};

/// LibTorch's tracer, looking on as long as this lives. torch::jit::tracer::trace() would go over the graph afterwards,
/// and fail on operators that were given a boolean for a number.
class Tracing {
 public:
  explicit Tracing(const std::vector<NamedInput>& inputs) : state_(std::make_shared<jit::tracer::TracingState>()) {
    state_->warn = false;
    jit::tracer::setTracingState(state_);
    for (const auto& input : inputs) {
      auto* value = state_->graph->addInput();
      value->inferTypeFrom(input.tensor);
      state_->setValue(input.tensor, value);
    }
  }
  Tracing(const Tracing&) = delete;
  Tracing& operator=(const Tracing&) = delete;
  ~Tracing() { jit::tracer::setTracingState(nullptr); }

  std::shared_ptr<jit::Graph> graph_of(const std::vector<at::Tensor>& outputs) const {
    for (const auto& output : outputs) state_->graph->registerOutput(state_->getValue(output));
    jit::NormalizeOps(state_->graph);
    return state_->graph;
  }

 private:
  std::shared_ptr<jit::tracer::TracingState> state_;
};

}  // namespace

Program record(const torch::nn::Module& module, const std::vector<NamedInput>& inputs, const Computation& computation,
               const std::string& what) {
  auto all = inputs;
  const auto weights = weights_of(module);
  all.insert(all.end(), weights.begin(), weights.end());
  std::vector<at::Tensor> given;
  for (const auto& input : inputs) given.push_back(input.tensor);
  const at::AutoGradMode with_graph(true);  // the plain operators
  try {
    const Tracing tracing(all);
    const auto graph = tracing.graph_of(computation(given));
    return ProgramReader(what, inputs.size(), all).read(*graph);
  } catch (const c10::Error& error) {
    fail("[export] {} cannot be recorded: {}", what, error.what_without_backtrace());
  }
}

}  // namespace vlalign::onnx
