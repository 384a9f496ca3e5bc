#include "loss/targets.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/_unique2.h>
#include <ATen/ops/aminmax.h>
#include <ATen/ops/bincount.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/custom_class.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "core/check.hpp"

namespace vlalign {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

WantedBothWays wanted_of_groups(const at::Tensor& groups, const Pairs& pairs) {
  const auto ids = std::get<1>(at::_unique2(groups, /*sorted=*/true, /*return_inverse=*/true));
  const auto counts = at::bincount(ids);
  const auto own = narrowed(ids, pairs.own);
  const auto weight = counts.index_select(0, own).to(pairs.text.scalar_type());
  const auto sum = [&](const at::Tensor& rows) {
    return at::zeros({counts.size(0), rows.size(1)}, rows.options()).index_add(0, ids, rows).index_select(0, own);
  };
  return {{row_products(narrowed(pairs.image, pairs.own), sum(pairs.text)), weight},
          {row_products(narrowed(pairs.text, pairs.own), sum(pairs.image)), weight}};
}

void check_range(const at::Tensor& low, const at::Tensor& high, std::string_view loss) {
  const auto ends = at::stack({low, high}).to(at::kCPU, at::kDouble);
  const auto least = ends[0].item<double>(), most = ends[1].item<double>();
  const auto odd = std::isfinite(least) ? most : least;
  check(std::isfinite(odd), "[{}] soft_targets: expected finite ones, got {}", loss,
        std::isnan(odd) ? std::abs(odd) : odd);  // a NaN's sign says nothing
  check(least >= 0, "[{}] soft_targets: expected no negative one, got {}", loss, least);
}

/// A block of rows [rows.count, B]; throws Error unless it is that, finite and not negative.
at::Tensor checked_rows(const SoftTargets& soft, tiles::RowRange rows, std::string_view loss) {
  const auto block = soft.rows(rows);
  if (soft.matrix().defined()) return block;  // checked as a whole
  check(block.defined() && block.sizes() == at::IntArrayRef({rows.count, soft.size()}) && block.is_floating_point(),
        "[{}] soft_targets: expected floating rows [{}, {}], got {}", loss, rows.count, soft.size(),
        block.defined() ? fmt::format("{} {}", c10::toString(block.scalar_type()), block.sizes().vec()) : "none");
  const auto [low, high] = at::aminmax(block);
  check_range(low, high, loss);
  return block;
}

/// Soft targets W of the `own` rows of a batch, which are never there as a whole.
struct OwnTargets : torch::CustomClassHolder {
  OwnTargets(SoftTargets targets, const Pairs& pairs, std::string_view name)
      : soft(std::move(targets)), size(pairs.size()), own(pairs.own), loss(name) {}

  /// visit(rows, weights of them [rows.count, B]) for blocks that are either all own or none.
  template <typename Visit>
  void for_each_block(const at::Tensor& like, const Visit& visit) const {
    constexpr std::int64_t elements = std::int64_t{1} << 20;  // of the weights that are there at a time
    const auto step = std::max<std::int64_t>(1, elements / size);
    const auto own_end = own.begin + own.count;
    for (const auto& [from, to] : {std::pair{std::int64_t{0}, own.begin}, {own.begin, own_end}, {own_end, size}}) {
      for (auto begin = from; begin < to; begin += step) {
        const tiles::RowRange rows{begin, std::min(step, to - begin)};
        visit(rows, checked_rows(soft, rows, loss).to(like.options()), from == own.begin);
      }
    }
  }

  SoftTargets soft;
  std::int64_t size;
  tiles::RowRange own;
  std::string loss;
};

/// x_i sum_j w_ij y_j of the own rows and y_j sum_i w_ij x_i of the own columns, with their sums of weights; x are the
/// images, y the texts. The weights are made again for the gradient: with upstream g and h it is, for x_i,
/// sum_j w_ij (g_i + h_j) y_j, and for y_j the same sum over i of x_i.
struct WantedProducts : torch::autograd::Function<WantedProducts> {
  static variable_list forward(AutogradContext* ctx, const at::Tensor& image, const at::Tensor& text,
                               const c10::intrusive_ptr<OwnTargets>& targets) {
    const auto own = targets->own;
    const auto empty = [&] { return at::zeros({own.count}, text.options()); };
    auto of_texts = empty(), text_weight = empty(), image_weight = empty();
    auto images = at::zeros({own.count, image.size(1)}, image.options());
    targets->for_each_block(text, [&](tiles::RowRange rows, const at::Tensor& weights, bool is_own) {
      const auto of_columns = weights.narrow(1, own.begin, own.count);
      images.addmm_(of_columns.t(), narrowed(image, rows));
      image_weight.add_(of_columns.sum(0));
      if (!is_own) return;
      const tiles::RowRange inside{rows.begin - own.begin, rows.count};
      narrowed(of_texts, inside).copy_((at::matmul(weights, text) * narrowed(image, rows)).sum(1));
      narrowed(text_weight, inside).copy_(weights.sum(1));
    });
    ctx->save_for_backward({image, text});
    ctx->saved_data["targets"] = c10::IValue::make_capsule(targets);
    ctx->mark_non_differentiable({text_weight, image_weight});
    return {of_texts, text_weight, row_products(narrowed(text, own), images), image_weight};
  }

  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const auto targets = c10::static_intrusive_pointer_cast<OwnTargets>(ctx->saved_data["targets"].toCapsule());
    const auto saved = ctx->get_saved_variables();
    const auto &image = saved[0], &text = saved[1];
    const auto own = targets->own;
    const auto defined = [&](const at::Tensor& g) { return g.defined() ? g : at::zeros({own.count}, text.options()); };
    const auto g = defined(gradients[0]), h = defined(gradients[2]);
    auto of_image = at::zeros_like(image), of_text = at::zeros_like(text);
    targets->for_each_block(text, [&](tiles::RowRange rows, const at::Tensor& weights, bool is_own) {
      const auto of_columns = weights.narrow(1, own.begin, own.count);
      const auto columns = is_own ? tiles::RowRange{0, targets->size} : own;
      auto factors = of_columns * h;
      if (is_own) {
        const auto of_rows = weights * narrowed(g, {rows.begin - own.begin, rows.count}).unsqueeze(1);
        of_rows.narrow(1, own.begin, own.count).add_(factors);
        factors = of_rows;
      }
      narrowed(of_image, rows).copy_(at::matmul(factors, narrowed(text, columns)));
      narrowed(of_text, columns).addmm_(factors.t(), narrowed(image, rows));
    });
    return {of_image, of_text, {}};
  }
};

}  // namespace

void check_targets(const ContrastiveBatch& batch, std::string_view loss) {
  const auto size = batch.image.size(0);
  const auto& groups = batch.groups;
  const auto& soft = batch.soft_targets;
  check(!groups.defined() || !soft.defined(), "[{}] the batch has groups and soft targets; expected one of them", loss);
  check(!groups.defined() || (groups.sizes() == at::IntArrayRef{size} && groups.scalar_type() == at::kLong),
        "[{}] groups: expected int64 [{}], got {} {}", loss, size,
        groups.defined() ? c10::toString(groups.scalar_type()) : "",
        groups.defined() ? groups.sizes().vec() : std::vector<std::int64_t>());
  const auto& matrix = soft.matrix();
  if (!matrix.defined()) {
    check(!soft.defined() || soft.size() == size, "[{}] soft_targets: expected {} rows, got {}", loss, size,
          soft.size());
    return;
  }
  check(matrix.sizes() == at::IntArrayRef({size, size}) && matrix.is_floating_point(),
        "[{}] soft_targets: expected floating [{}, {}], got {} {}", loss, size, size,
        c10::toString(matrix.scalar_type()), matrix.sizes().vec());
  const auto [low, high] = at::aminmax(matrix);  // NaN where there is one
  check_range(low, high, loss);
}

WantedBothWays wanted(const ContrastiveBatch& batch, const Pairs& pairs, std::string_view loss) {
  if (batch.groups.defined()) return wanted_of_groups(batch.groups.to(pairs.text.device()), pairs);
  if (!batch.soft_targets.defined()) {
    const auto products = row_products(narrowed(pairs.image, pairs.own), narrowed(pairs.text, pairs.own));
    return {{products, {}}, {products, {}}};
  }
  const auto targets = c10::make_intrusive<OwnTargets>(batch.soft_targets, pairs, loss);
  const auto made = WantedProducts::apply(pairs.image, pairs.text, targets);
  return {{made[0], made[1]}, {made[2], made[3]}};
}

}  // namespace vlalign
