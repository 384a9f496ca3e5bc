#include "export/graph_builder.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <functional>

#include "core/check.hpp"
#include "export/protobuf_message.hpp"

namespace vlalign::onnx {
namespace {

/// Few numbers are compared as numbers, many by where they lie.
constexpr std::int64_t few = 1 << 16;

std::size_t hash_of(const at::Tensor& tensor) {
  if (tensor.numel() <= few) return std::hash<std::string_view>()(bytes_of(tensor.contiguous()));
  return std::hash<const void*>()(tensor.const_data_ptr());
}

bool are_same(const at::Tensor& a, const at::Tensor& b) {
  if (a.scalar_type() != b.scalar_type() || a.sizes() != b.sizes()) return false;
  if (a.numel() <= few) return bytes_of(a.contiguous()) == bytes_of(b.contiguous());
  return a.const_data_ptr() == b.const_data_ptr() && a.strides() == b.strides();
}

}  // namespace

GraphBuilder::GraphBuilder(std::string name, std::int64_t opset, SizeSources sizes)
    : model_{.opset = opset, .name = std::move(name)}, sources_(std::move(sizes)) {}

Name GraphBuilder::unique(const std::string& wanted) {
  const auto times = names_[wanted]++;
  return times == 0 ? wanted : unique(fmt::format("{}_{}", wanted, times));
}

Name GraphBuilder::add_input(ValueInfo input) {
  input.name = unique(input.name);
  model_.inputs.push_back(input);
  return input.name;
}

void GraphBuilder::add_output(ValueInfo output, const Name& value) {
  output.name = unique(output.name);
  model_.nodes.push_back({"Identity", output.name, {value}, {output.name}});
  model_.outputs.push_back(std::move(output));
}

Name GraphBuilder::add(std::string_view operation, const Names& inputs, const Attributes& attributes) {
  return add_several(operation, inputs, 1, attributes).front();
}

Names GraphBuilder::add_several(std::string_view operation, const Names& inputs, std::size_t outputs,
                                const Attributes& attributes) {
  Node node{std::string(operation), unique(std::string(operation)), inputs, {}, attributes};
  if (outputs == 1) node.outputs = {node.name};
  for (std::size_t i = 0; outputs > 1 && i < outputs; ++i) node.outputs.push_back(fmt::format("{}.{}", node.name, i));
  model_.nodes.push_back(node);
  return node.outputs;
}

Name GraphBuilder::constant(const at::Tensor& tensor, const std::string& name) {
  const auto hash = hash_of(tensor);
  const auto [first, last] = constants_.equal_range(hash);
  const auto found = std::find_if(first, last, [&](const auto& item) { return are_same(item.second.tensor, tensor); });
  if (found != last) return found->second.name;
  const Initializer initializer{unique(name.empty() ? "constant" : name), tensor};
  constants_.emplace(hash, initializer);
  model_.initializers.push_back(initializer);
  return initializer.name;
}

Name GraphBuilder::scalar(double value, at::ScalarType dtype) { return constant(at::full({}, value, dtype)); }

Name GraphBuilder::integers(const std::vector<std::int64_t>& values) { return constant(at::tensor(values, at::kLong)); }

Name GraphBuilder::dimension(const std::pair<Name, std::int64_t>& source) {
  return add("Shape", {source.first}, {{"start", source.second}, {"end", source.second + 1}});
}

Name GraphBuilder::times(std::int64_t factor, const Name& value) {
  return factor == 1 ? value : add("Mul", {value, integers({factor})});
}

Name GraphBuilder::size(const Size& size) {
  if (size.is_constant()) return integers({size.constant});
  auto& known = sizes_[to_string(size)];
  if (!known.empty()) return known;
  if (size == Size{.per_row = 1}) return known = dimension(sources_.rows);
  if (size == Size{.per_token = 1}) return known = dimension(sources_.tokens);
  Names terms;
  if (size.per_row != 0) terms.push_back(times(size.per_row, this->size({.per_row = 1})));
  if (size.per_token != 0) terms.push_back(times(size.per_token, this->size({.per_token = 1})));
  if (size.per_both != 0)
    terms.push_back(times(size.per_both, add("Mul", {this->size({.per_row = 1}), this->size({.per_token = 1})})));
  if (size.constant != 0) terms.push_back(integers({size.constant}));
  auto sum = terms.front();
  for (std::size_t i = 1; i < terms.size(); ++i) sum = add("Add", {sum, terms[i]});
  return known = sum;
}

Name GraphBuilder::shape(const std::vector<Size>& sizes) {
  std::vector<std::int64_t> numbers;
  for (const auto& size : sizes) numbers.push_back(size.constant);
  if (std::all_of(sizes.begin(), sizes.end(), [](const Size& size) { return size.is_constant(); }))
    return integers(numbers);
  Names parts;
  for (const auto& each : sizes) parts.push_back(size(each));
  return parts.size() == 1 ? parts.front() : add("Concat", parts, {{"axis", std::int64_t{0}}});
}

Name GraphBuilder::cast(const Name& value, at::ScalarType from, at::ScalarType to) {
  const auto wanted = element_type(to);
  return element_type(from) == wanted ? value : add("Cast", {value}, {{"to", wanted}});
}

Model GraphBuilder::finish(std::map<std::string, std::string> metadata) && {
  model_.metadata = std::move(metadata);
  return std::move(model_);
}

}  // namespace vlalign::onnx
