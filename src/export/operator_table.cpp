#include "export/operator_table.hpp"

#include <algorithm>
#include <array>

#include "export/operators.hpp"

namespace vlalign::onnx {
namespace {

constexpr std::array table{
    // What changes nothing that a graph knows of.
    OperatorRow{"aten::alias", rows::same},
    OperatorRow{"aten::clone", rows::same},
    OperatorRow{"aten::contiguous", rows::same},
    OperatorRow{"aten::copy", rows::same},
    OperatorRow{"aten::detach", rows::same},
    OperatorRow{"aten::dropout", rows::dropout},
    OperatorRow{"aten::lift_fresh", rows::same},
    OperatorRow{"aten::to", rows::same},
    OperatorRow{"aten::type_as", rows::same},
    // Arithmetic.
    OperatorRow{"aten::abs", rows::unary, "Abs"},
    OperatorRow{"aten::add", rows::add},
    OperatorRow{"aten::addcmul", rows::add_elementwise_product},
    OperatorRow{"aten::ceil", rows::unary, "Ceil"},
    OperatorRow{"aten::clamp", rows::clamp},
    OperatorRow{"aten::clamp_max", rows::binary, "Min"},
    OperatorRow{"aten::clamp_min", rows::binary, "Max"},
    OperatorRow{"aten::cos", rows::unary, "Cos"},
    OperatorRow{"aten::div", rows::divide},
    OperatorRow{"aten::erf", rows::unary, "Erf"},
    OperatorRow{"aten::exp", rows::unary, "Exp"},
    OperatorRow{"aten::expm1", rows::exponential_minus_one},
    OperatorRow{"aten::floor", rows::unary, "Floor"},
    OperatorRow{"aten::log", rows::unary, "Log"},
    OperatorRow{"aten::maximum", rows::binary, "Max"},
    OperatorRow{"aten::minimum", rows::binary, "Min"},
    OperatorRow{"aten::mul", rows::binary, "Mul"},
    OperatorRow{"aten::nan_to_num", rows::not_a_number_to},
    OperatorRow{"aten::neg", rows::unary, "Neg"},
    OperatorRow{"aten::pow", rows::binary, "Pow"},
    OperatorRow{"aten::reciprocal", rows::unary, "Reciprocal"},
    OperatorRow{"aten::round", rows::unary, "Round"},
    OperatorRow{"aten::rsqrt", rows::reciprocal_root},
    OperatorRow{"aten::rsub", rows::subtract_reversed},
    OperatorRow{"aten::sign", rows::unary, "Sign"},
    OperatorRow{"aten::sin", rows::unary, "Sin"},
    OperatorRow{"aten::sqrt", rows::unary, "Sqrt"},
    OperatorRow{"aten::square", rows::square},
    OperatorRow{"aten::sub", rows::subtract},
    // Comparisons and choices.
    OperatorRow{"aten::bitwise_and", rows::logical, "And"},
    OperatorRow{"aten::bitwise_not", rows::logical_not},
    OperatorRow{"aten::bitwise_or", rows::logical, "Or"},
    OperatorRow{"aten::eq", rows::compare, "Equal"},
    OperatorRow{"aten::ge", rows::compare, "GreaterOrEqual"},
    OperatorRow{"aten::gt", rows::compare, "Greater"},
    OperatorRow{"aten::le", rows::compare, "LessOrEqual"},
    OperatorRow{"aten::logical_and", rows::logical, "And"},
    OperatorRow{"aten::logical_not", rows::logical_not},
    OperatorRow{"aten::logical_or", rows::logical, "Or"},
    OperatorRow{"aten::lt", rows::compare, "Less"},
    OperatorRow{"aten::masked_fill", rows::masked_fill},
    OperatorRow{"aten::ne", rows::not_equal},
    OperatorRow{"aten::where", rows::where},
    // Activations.
    OperatorRow{"aten::gelu", rows::gelu},
    OperatorRow{"aten::hardsigmoid", rows::unary, "HardSigmoid"},
    OperatorRow{"aten::hardswish", rows::unary, "HardSwish"},
    OperatorRow{"aten::leaky_relu", rows::leaky_relu},
    OperatorRow{"aten::mish", rows::unary, "Mish"},
    OperatorRow{"aten::relu", rows::unary, "Relu"},
    OperatorRow{"aten::sigmoid", rows::unary, "Sigmoid"},
    OperatorRow{"aten::silu", rows::silu},
    OperatorRow{"aten::softplus", rows::unary, "Softplus"},
    OperatorRow{"aten::tanh", rows::unary, "Tanh"},
    // Shapes.
    OperatorRow{"aten::_unsafe_view", rows::reshape},
    OperatorRow{"aten::arange", rows::arange},
    OperatorRow{"aten::broadcast_to", rows::expand},
    OperatorRow{"aten::cat", rows::concatenate},
    OperatorRow{"aten::chunk", rows::split},
    OperatorRow{"aten::constant_pad_nd", rows::pad},
    OperatorRow{"aten::expand", rows::expand},
    OperatorRow{"aten::expand_as", rows::expand},
    OperatorRow{"aten::flatten", rows::reshape},
    OperatorRow{"aten::fill", rows::full},
    OperatorRow{"aten::full", rows::full},
    OperatorRow{"aten::full_like", rows::full},
    OperatorRow{"aten::narrow", rows::narrow},
    OperatorRow{"aten::new_full", rows::full},
    OperatorRow{"aten::new_ones", rows::ones},
    OperatorRow{"aten::new_zeros", rows::zeros},
    OperatorRow{"aten::numpy_T", rows::matrix_transpose},
    OperatorRow{"aten::ones", rows::ones},
    OperatorRow{"aten::ones_like", rows::ones},
    OperatorRow{"aten::pad", rows::pad},
    OperatorRow{"aten::permute", rows::permute},
    OperatorRow{"aten::repeat", rows::repeat},
    OperatorRow{"aten::repeat_interleave", rows::repeat_interleave},
    OperatorRow{"aten::reshape", rows::reshape},
    OperatorRow{"aten::reshape_as", rows::reshape},
    OperatorRow{"aten::select", rows::select},
    OperatorRow{"aten::slice", rows::slice},
    OperatorRow{"aten::split", rows::split},
    OperatorRow{"aten::split_with_sizes", rows::split},
    OperatorRow{"aten::squeeze", rows::reshape},
    OperatorRow{"aten::stack", rows::stack},
    OperatorRow{"aten::t", rows::matrix_transpose},
    OperatorRow{"aten::transpose", rows::transpose},
    OperatorRow{"aten::tril", rows::triangle, "lower"},
    OperatorRow{"aten::triu", rows::triangle, "upper"},
    OperatorRow{"aten::unbind", rows::unbind},
    OperatorRow{"aten::unflatten", rows::reshape},
    OperatorRow{"aten::unsqueeze", rows::reshape},
    OperatorRow{"aten::view", rows::reshape},
    OperatorRow{"aten::view_as", rows::reshape},
    OperatorRow{"aten::zero", rows::zeros},
    OperatorRow{"aten::zeros", rows::zeros},
    OperatorRow{"aten::zeros_like", rows::zeros},
    // Products.
    OperatorRow{"aten::addmm", rows::add_product},
    OperatorRow{"aten::baddbmm", rows::add_product},
    OperatorRow{"aten::bmm", rows::matrix_product},
    OperatorRow{"aten::linear", rows::linear},
    OperatorRow{"aten::matmul", rows::matrix_product},
    OperatorRow{"aten::mm", rows::matrix_product},
    OperatorRow{"aten::scaled_dot_product_attention", rows::attention},
    // Numbers rounded to int8.
    OperatorRow{"aten::fake_quantize_per_channel_affine", rows::quantize_weight},
    OperatorRow{"aten::fake_quantize_per_tensor_affine", rows::quantize_numbers},
    // Reductions and norms.
    OperatorRow{"aten::all", rows::any_or_all, "ReduceMin"},
    OperatorRow{"aten::amax", rows::reduce, "ReduceMax"},
    OperatorRow{"aten::amin", rows::reduce, "ReduceMin"},
    OperatorRow{"aten::any", rows::any_or_all, "ReduceMax"},
    OperatorRow{"aten::argmax", rows::argmax, "ArgMax"},
    OperatorRow{"aten::argmin", rows::argmax, "ArgMin"},
    OperatorRow{"aten::batch_norm", rows::batch_norm},
    OperatorRow{"aten::cumsum", rows::cumulative_sum},
    OperatorRow{"aten::group_norm", rows::group_norm},
    OperatorRow{"aten::layer_norm", rows::layer_norm},
    OperatorRow{"aten::linalg_vector_norm", rows::norm},
    OperatorRow{"aten::log_softmax", rows::softmax, "LogSoftmax"},
    OperatorRow{"aten::logsumexp", rows::reduce, "ReduceLogSumExp"},
    OperatorRow{"aten::max", rows::extreme, "Max"},
    OperatorRow{"aten::mean", rows::reduce, "ReduceMean"},
    OperatorRow{"aten::min", rows::extreme, "Min"},
    OperatorRow{"aten::norm", rows::norm},
    OperatorRow{"aten::prod", rows::reduce, "ReduceProd"},
    OperatorRow{"aten::softmax", rows::softmax, "Softmax"},
    OperatorRow{"aten::sum", rows::sum},
    // Rows by their numbers.
    OperatorRow{"aten::embedding", rows::embedding},
    OperatorRow{"aten::gather", rows::gather},
    OperatorRow{"aten::index", rows::index},
    OperatorRow{"aten::index_fill", rows::index_fill},
    OperatorRow{"aten::index_select", rows::index_select},
    // Pictures.
    OperatorRow{"aten::_convolution", rows::convolution},
    OperatorRow{"aten::_upsample_bicubic2d_aa", rows::resize_antialiased, "cubic"},
    OperatorRow{"aten::_upsample_bilinear2d_aa", rows::resize_antialiased, "linear"},
    OperatorRow{"aten::adaptive_avg_pool2d", rows::adaptive_average_pool},
    OperatorRow{"aten::avg_pool2d", rows::average_pool},
    OperatorRow{"aten::conv2d", rows::convolution},
    OperatorRow{"aten::convolution", rows::convolution},
    OperatorRow{"aten::max_pool2d", rows::max_pool},
    OperatorRow{"aten::upsample_bicubic2d", rows::resize, "cubic"},
    OperatorRow{"aten::upsample_bilinear2d", rows::resize, "linear"},
    OperatorRow{"aten::upsample_nearest2d", rows::resize, "nearest"},
};

}  // namespace

const OperatorRow* find_row(std::string_view name) {
  const auto* const found =
      std::find_if(table.begin(), table.end(), [&](const OperatorRow& row) { return row.name == name; });
  return found == table.end() ? nullptr : found;
}

std::vector<Name> add_program(const Program& program, const std::vector<Name>& inputs, GraphBuilder& graph,
                              const std::string& what) {
  std::vector<Name> names(program.values.size());
  for (std::size_t i = 0; i < inputs.size(); ++i) names[static_cast<std::size_t>(program.inputs[i].number)] = inputs[i];
  for (const auto& op : program.operators) {
    const auto* row = find_row(name_of(op));
    if (!row) fail("[export] {}: {} is no operator that can be written in ONNX yet", what, name_of(op));
    Conversion conversion(program, op, names, graph, what);
    conversion.operation = row->operation;
    row->write(conversion);
  }
  std::vector<Name> outputs;
  for (const auto id : program.outputs) {
    auto& name = names[static_cast<std::size_t>(id.number)];
    const auto& value = program.at(id);
    if (name.empty() && value.constant.defined()) name = graph.constant(value.constant, value.name);
    check(!name.empty(), "[export] {}: an output is computed by no operator", what);
    outputs.push_back(name);
  }
  return outputs;
}

}  // namespace vlalign::onnx
