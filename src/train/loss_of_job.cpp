#include "train/loss_of_job.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include "core/check.hpp"
#include "loss/batch_accuracy.hpp"
#include "loss/checked_batch.hpp"
#include "ranks/pass_around.hpp"
#include "train/job_batch.hpp"

namespace vlalign {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// Detached, and as much of a gradient as it had.
at::Tensor leaf_of(const at::Tensor& tensor, bool with_gradients) {
  if (!tensor.defined()) return {};
  return tensor.detach().set_requires_grad(with_gradients && tensor.requires_grad());
}

/// What the other ranks' texts add to a rank's loss. As the texts go around their gradients do, so they are taken in
/// the forward pass; all ranks must then ask for the gradient by the same factor.
struct OverOtherTexts : torch::autograd::Function<OverOtherTexts> {
  /// What isn't differentiated.
  struct Setting {
    const Ranks& ranks;
    const ContrastiveBatch& rows;
    const SumOverTexts& sum;
    double weight;
    NearestTexts& nearest;
    bool with_gradients;
  };

  static at::Tensor forward(AutogradContext* context, const at::Tensor& image, const at::Tensor& text,
                            const at::Tensor& scale, const at::Tensor& bias, const Setting& setting) {
    const bool with_gradients = setting.with_gradients;
    auto leaves = setting.rows;
    leaves.image = leaf_of(image, with_gradients);
    leaves.text = text.detach();
    leaves.logit_scale = leaf_of(scale, with_gradients);
    if (leaves.logit_bias.defined()) leaves.logit_bias = leaf_of(bias, with_gradients);
    auto total = at::zeros({}, scale.options());
    const auto of_text =
        pass_around(setting.ranks, widened(text.detach()), [&](const at::Tensor& others, at::Tensor& gradient) {
          if (image.size(0) == 0) return;
          setting.nearest.others(others);
          const at::AutoGradMode with_graph(with_gradients);
          const auto texts = others.clone().set_requires_grad(with_gradients);
          const auto value = setting.sum(leaves, texts) * setting.weight;
          total.add_(value.detach());
          if (!value.requires_grad()) return;
          value.backward();
          gradient.copy_(texts.grad());
        });
    context->save_for_backward({leaves.image.grad(), of_text, leaves.logit_scale.grad(),
                                leaves.logit_bias.defined() ? leaves.logit_bias.grad() : at::Tensor()});
    return total;
  }

  static variable_list backward(AutogradContext* context, const variable_list& upstream) {
    auto gradients = context->get_saved_variables();
    for (auto& gradient : gradients)
      if (gradient.defined()) gradient = gradient * upstream[0].to(gradient.options());
    gradients.emplace_back();  // of the setting
    return gradients;
  }
};

LossOfJob by_gathering(const Ranks& ranks, const ContrastiveLoss& loss, const ContrastiveBatch& rows) {
  const auto batch = gather_batch(ranks, rows);
  const auto share = share_of_own_rows(ranks, batch);
  const auto value = loss.forward(batch);
  return {.value = ranks.alone() ? value : value * share,
          .accuracy = accuracy_on_device(batch.image, batch.text, batch.own) * share,
          .pairs = batch.image.size(0)};
}

LossOfJob around_the_ring(const Ranks& ranks, const ContrastiveLoss& loss, const ContrastiveBatch& rows) {
  const auto own = rows.image.size(0), all = ranks.gather(at::tensor({own})).sum().item<std::int64_t>();
  check(all > 0, "[Trainer] none of the batch's records could be read");
  const double weight = static_cast<double>(ranks.size()) / static_cast<double>(all);  // of a row, in the ranks' mean
  NearestTexts nearest(rows.image);
  const auto sum = loss.over_other_texts();
  const auto bias = rows.logit_bias.defined() ? rows.logit_bias : at::zeros({}, rows.logit_scale.options());
  const auto others = OverOtherTexts::apply(rows.image, rows.text, rows.logit_scale, bias,
                                            OverOtherTexts::Setting{.ranks = ranks,
                                                                    .rows = rows,
                                                                    .sum = sum,
                                                                    .weight = weight,
                                                                    .nearest = nearest,
                                                                    .with_gradients = at::GradMode::is_enabled()});
  if (own == 0) return {others, at::zeros({}, at::kDouble), all};
  nearest.own(rows.text, 0);
  return {.value = loss.forward(rows) * (weight * static_cast<double>(own)) + others,
          .accuracy = nearest.right().to(at::kDouble) * weight,
          .pairs = all};
}

}  // namespace

RowExchange choose_exchange(const ContrastiveLoss& loss, const ContrastiveBatch& rows, std::int64_t batch_size) {
  constexpr std::int64_t large = std::int64_t{2} << 20;  // numbers of a gathered embedding: 8 MB
  const bool possible = loss.over_other_texts() && !rows.groups.defined() && !rows.soft_targets.defined();
  return possible && batch_size * rows.image.size(1) >= large ? RowExchange::ring : RowExchange::gather;
}

LossOfJob loss_of_job(const Ranks& ranks, const ContrastiveLoss& loss, const ContrastiveBatch& rows,
                      RowExchange exchange) {
  return exchange == RowExchange::ring && !ranks.alone() ? around_the_ring(ranks, loss, rows)
                                                         : by_gathering(ranks, loss, rows);
}

}  // namespace vlalign
