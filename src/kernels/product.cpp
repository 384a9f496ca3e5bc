#include "kernels/product.hpp"

#include <ATen/Context.h>
#include <ATen/DimVector.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/grad_mode.h>
#include <ATen/cpu/Utils.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/ones.h>
#include <torch/csrc/autograd/custom_function.h>

#include "core/find_operator.hpp"
#include "core/traced.hpp"
#include "kernels/bf16_panels.hpp"

namespace vlalign {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Operators that LibTorch has where it is built with oneDNN.
using Product = at::Tensor(const at::Tensor& x, const at::Tensor& w, const std::optional<at::Tensor>& bias,
                           std::string_view activation, c10::List<std::optional<at::Scalar>> scalars,
                           std::optional<std::string_view> algorithm);
using Reorder = at::Tensor(const at::Tensor& w, std::optional<c10::SymInt> rows);

const auto& product_operator() {
  static const auto found = find_operator<Product>("mkldnn::_linear_pointwise");
  return found;
}

const auto& reorder_operator() {
  static const auto found = find_operator<Reorder>("mkldnn::_reorder_linear_weight");
  return found;
}

bool is_panels(const at::Tensor& w) { return w.dim() == 4; }

at::Tensor one_dnn(const at::Tensor& x, const at::Tensor& matrix, const std::optional<at::Tensor>& bias) {
  // For rows that lie apart oneDNN has a reference loop only, a hundred times slower.
  const bool dense = matrix.is_mkldnn() || matrix.is_contiguous() || matrix.t().is_contiguous();
  const auto w = dense ? matrix : matrix.contiguous();
  static const c10::List<std::optional<at::Scalar>> no_scalars;
  const at::AutoDispatchBelowADInplaceOrView no_graph;  // whose fallback would box the arguments
  return product_operator()->call(x, w, bias, "none", no_scalars, "");
}

/// Of one float32 row: computed as two, since oneDNN has another loop for one, which rounds otherwise. So a row's
/// product is the same to the bit, however many others are beside it.
at::Tensor one_row(const at::Tensor& x, const at::Tensor& matrix, const std::optional<at::Tensor>& bias) {
  at::DimVector shape(x.sizes());
  shape.back() = matrix.size(0);
  const auto twice = x.reshape({1, -1}).expand({2, -1}).contiguous();
  return one_dnn(twice, matrix, bias).narrow(0, 0, 1).view(shape);
}

bool is_one_row(const at::Tensor& x) { return x.scalar_type() == at::kFloat && x.numel() == x.size(-1); }

/// Whether oneDNN has products of this type: it is asked for one, since what it can do depends on the processor and on
/// ONEDNN_MAX_CPU_ISA, and what it can't do it refuses when it is called.
bool has_products(at::ScalarType type) {
  try {
    const at::NoGradGuard no_graph;
    const auto x = at::ones({2, 16}, type), w = at::ones({4, 16}, type);
    const auto packed = reorder_operator() ? reorder_operator()->call(w, std::optional<c10::SymInt>()) : w;
    return one_dnn(x, w, {}).eq(16).all().item<bool>() && one_dnn(x, packed, {}).eq(16).all().item<bool>() &&
           one_dnn(x.narrow(1, 0, 4), w.t(), {}).eq(4).all().item<bool>();
  } catch (const std::exception&) {
    return false;
  }
}

bool is_fast(const at::Tensor& x) {
  if (is_traced() || !x.is_cpu() || x.numel() == 0) return false;
  if (!product_operator() || !at::globalContext().userEnabledMkldnn()) return false;
  static const bool float32 = has_products(at::kFloat);
  static const bool bfloat16 = at::cpu::is_avx512_vnni_supported() && has_products(at::kBFloat16);
  return (x.scalar_type() == at::kFloat && float32) || (x.scalar_type() == at::kBFloat16 && bfloat16);
}

struct ProductNode : torch::autograd::Function<ProductNode> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& w,
                            const std::optional<at::Tensor>& bias) {
    context->save_for_backward({x, w});
    context->saved_data["bias"] = bias.has_value();
    return one_dnn(x, w, bias);
  }

  static variable_list backward(AutogradContext* context, const variable_list& upstream) {
    const at::NoGradGuard once;
    const auto saved = context->get_saved_variables();
    const auto& x = saved[0];
    const auto& w = saved[1];
    const auto gradient = upstream[0].reshape({-1, w.size(0)});
    at::Tensor dx, dw, dbias;
    if (context->needs_input_grad(0)) dx = one_dnn(gradient, w.t(), {}).view(x.sizes());
    if (context->needs_input_grad(1)) {
      const auto rows = x.reshape({-1, w.size(1)});
      const bool in_float32 = x.scalar_type() == at::kFloat;
      dw = in_float32 ? one_dnn(gradient.t(), rows.t(), {}) : at::mm(gradient.t(), rows);
    }
    const bool with_bias = context->saved_data["bias"].toBool();
    if (with_bias && context->needs_input_grad(2)) dbias = gradient.sum(0);
    return {dx, dw, dbias};
  }
};

}  // namespace

at::Tensor product(const at::Tensor& x, const at::Tensor& w, const at::Tensor& bias) {
  if (is_panels(w)) return product_with_panels(x, w, bias);
  const auto added = bias.defined() ? std::optional(bias.to(x.scalar_type())) : std::nullopt;
  if (!is_fast(x)) return at::linear(x, w, added);
  const bool with_graph =
      at::GradMode::is_enabled() && (x.requires_grad() || w.requires_grad() || (added && bias.requires_grad()));
  if (with_graph) return ProductNode::apply(x, w, added);
  return is_one_row(x) ? one_row(x, w, added) : one_dnn(x, w, added);
}

at::Tensor packed(const at::Tensor& w) {
  const at::NoGradGuard no_graph;
  if (fits_panels(w)) return to_panels(w);
  if (!is_fast(w) || !reorder_operator()) return w;
  const std::optional<c10::SymInt> any_rows;
  return reorder_operator()->call(w.contiguous(), any_rows);
}

}  // namespace vlalign
