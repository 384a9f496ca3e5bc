#include "kernels/convolution.hpp"

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/grad_mode.h>
#include <ATen/cpu/Utils.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/silu.h>

#include "core/find_operator.hpp"

namespace vlalign {
namespace {

// Operators that LibTorch has where it is built with oneDNN.
using Scalars = c10::List<std::optional<at::Scalar>>;
using Convolution = at::Tensor(const at::Tensor& x, const at::Tensor& w, const std::optional<at::Tensor>& bias,
                               at::IntArrayRef padding, at::IntArrayRef stride, at::IntArrayRef dilation,
                               std::int64_t groups, std::string_view activation, Scalars scalars,
                               std::optional<std::string_view> algorithm);
using AddedConvolution = at::Tensor&(at::Tensor& sum, const at::Tensor& x, const at::Tensor& w,
                                     const std::optional<at::Tensor>& bias, at::IntArrayRef padding,
                                     at::IntArrayRef stride, at::IntArrayRef dilation, std::int64_t groups,
                                     std::string_view binary, std::optional<at::Scalar> alpha,
                                     std::optional<std::string_view> activation, Scalars scalars,
                                     std::optional<std::string_view> algorithm);
using ReorderKernel = at::Tensor(const at::Tensor& w, c10::SymIntArrayRef padding, c10::SymIntArrayRef stride,
                                 c10::SymIntArrayRef dilation, c10::SymInt groups, at::OptionalSymIntArrayRef input);

struct Operators {
  std::optional<c10::TypedOperatorHandle<Convolution>> plain =
      find_operator<Convolution>("mkldnn::_convolution_pointwise");
  std::optional<c10::TypedOperatorHandle<AddedConvolution>> added =
      find_operator<AddedConvolution>("mkldnn::_convolution_pointwise_", "binary");
  std::optional<c10::TypedOperatorHandle<ReorderKernel>> reorder =
      find_operator<ReorderKernel>("mkldnn::_reorder_convolution_weight");
};

const Operators& operators() {
  static const Operators found;
  return found;
}

constexpr std::array<std::int64_t, 2> twice(std::int64_t number) { return {number, number}; }

std::string_view one_dnns(ThenApply then) {
  switch (then) {
    case ThenApply::nothing:
      return "none";
    case ThenApply::relu:
      return "relu";
    case ThenApply::silu:
      return "swish";
    case ThenApply::gelu:
      return "gelu";
  }
  return "none";
}

bool is_ours_alone(const at::Tensor& x) {
  return x.use_count() == 1 && x.storage().use_count() == 1 && x.is_contiguous(at::MemoryFormat::ChannelsLast);
}

/// LibTorch's operators throw for bfloat16 on a processor that has no instructions for it.
bool takes(at::ScalarType type) {
  return type == at::kFloat || (type == at::kBFloat16 && at::cpu::is_avx512_vnni_supported());
}

}  // namespace

at::Tensor applied(at::Tensor y, ThenApply then) {
  switch (then) {
    case ThenApply::nothing:
      return y;
    case ThenApply::relu:
      return y.relu_();
    case ThenApply::silu:
      return at::silu(y);
    case ThenApply::gelu:
      return at::gelu(y);
  }
  return y;
}

at::Tensor packed_kernel(const at::Tensor& weight, const at::Tensor& x, const ConvolutionOptions& options) {
  const auto dense = weight.contiguous(at::MemoryFormat::ChannelsLast);
  const auto& found = operators();
  const bool packs = found.plain && found.added && found.reorder && x.is_cpu() &&
                     at::globalContext().userEnabledMkldnn() && takes(x.scalar_type());
  if (!packs) return dense;
  const at::AutoDispatchBelowADInplaceOrView no_graph;
  const auto both = [](std::int64_t number) { return std::array<c10::SymInt, 2>{number, number}; };
  const auto padding = both(options.padding), stride = both(options.stride), dilation = both(1);
  const auto sizes = x.sym_sizes();
  return found.reorder->call(dense, padding, stride, dilation, options.groups, at::OptionalSymIntArrayRef(sizes));
}

at::Tensor convolution(const at::Tensor& x, const at::Tensor& kernel, const at::Tensor& bias,
                       const ConvolutionOptions& options, ThenApply then, at::Tensor added) {
  if (!kernel.is_mkldnn()) {
    const auto y = at::conv2d(x, kernel, bias, options.stride, options.padding, /*dilation=*/1, options.groups);
    return applied(added.defined() ? y + added : y, then);
  }
  const at::AutoDispatchBelowADInplaceOrView no_graph;
  static const Scalars no_scalars;
  const auto padding = twice(options.padding), stride = twice(options.stride), dilation = twice(1);
  // LibTorch's operator with a sum fails for groups and for maps of a single place.
  const bool adds = added.defined() && options.groups == 1 && added.size(2) * added.size(3) > 1 &&
                    (then == ThenApply::nothing || then == ThenApply::relu);
  if (adds) {
    auto sum = is_ours_alone(added) ? std::move(added) : added.clone();
    const auto activation = then == ThenApply::relu ? std::optional<std::string_view>("relu") : std::nullopt;
    return operators().added->call(sum, x, kernel, bias, padding, stride, dilation, options.groups, "add",
                                   at::Scalar(1.0), activation, no_scalars, std::nullopt);
  }
  const auto fused = added.defined() ? ThenApply::nothing : then;
  const auto y = operators().plain->call(x, kernel, bias, padding, stride, dilation, options.groups, one_dnns(fused),
                                         no_scalars, fused == ThenApply::gelu ? std::optional("none") : std::nullopt);
  return added.defined() ? applied(y + added, then) : y;
}

}  // namespace vlalign
