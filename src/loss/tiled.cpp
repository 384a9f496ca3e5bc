#include "vlalign/loss/tiled.hpp"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/aminmax.h>
#include <ATen/ops/dot.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/log.h>
#include <ATen/ops/logaddexp.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/softplus.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "core/check.hpp"
#include "kernels/parallel.hpp"
#include "kernels/product.hpp"
#include "loss/checked_batch.hpp"

namespace vlalign::tiles {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;
using Keep = PairFilter::Keep;

constexpr double minus_infinity = -std::numeric_limits<double>::infinity();
/// Within this range of logits exp(S - largest) of all is a normal float32 number, and one exponential serves both
/// directions.
constexpr double safe_range = 80.0;

template <typename Visit>
void for_each_range(std::int64_t size, std::int64_t step, Visit visit) {
  for (std::int64_t begin = 0; begin < size; begin += step) visit(RowRange{begin, std::min(step, size - begin)});
}

/// Walks the [N, M] logits in blocks of rows. On a CPU each thread has a stretch of the columns, through which it goes
/// in tiles that stay in its cache: so what belongs to a column is written by one thread, and what belongs to a row is
/// summed over the threads when the block is done. A GPU takes larger tiles, one after the other.
class TileWalk {
 public:
  TileWalk(const at::Tensor& x, const at::Tensor& y) : rows_(x.size(0)), columns_(y.size(0)), on_cpu_(x.is_cpu()) {}

  std::int64_t threads() const { return on_cpu_ ? most_threads() : 1; }

  /// tile(rows, columns, thread) for all tiles of a block, then finish(rows).
  template <typename Tile, typename Finish>
  void run(const Tile& tile, const Finish& finish) const {
    for_each_range(rows_, on_cpu_ ? 512 : 2048, [&](RowRange r) {
      const auto stretch = [&](std::int64_t begin, std::int64_t end, std::int64_t step) {
        const at::NoGradGuard no_graph;  // a pool's thread has a mode of its own
        for_each_range(end - begin, step, [&](RowRange c) {
          tile(r, RowRange{begin + c.begin, c.count}, on_cpu_ ? at::get_thread_num() : 0);
        });
      };
      if (on_cpu_) {
        at::parallel_for(0, columns_, /*grain_size=*/64,
                         [&](std::int64_t begin, std::int64_t end) { stretch(begin, end, 512); });
      } else {
        stretch(0, columns_, 8192);
      }
      finish(r);
    });
  }

 private:
  std::int64_t rows_, columns_;
  bool on_cpu_;
};

void check_operands(const at::Tensor& x, const at::Tensor& y, const char* function) {
  check(x.defined() && y.defined(), "[{}] {}: expected a tensor, got none", function, x.defined() ? "y" : "x");
  check(x.dim() == 2 && y.dim() == 2 && x.size(1) == y.size(1) && x.numel() > 0 && y.numel() > 0,
        "[{}] x, y: expected [N, D] and [M, D], got {} and {}", function, x.sizes().vec(), y.sizes().vec());
  check(x.scalar_type() == y.scalar_type() && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kDouble),
        "[{}] x, y: expected both float32 or both float64, got {} and {}", function, c10::toString(x.scalar_type()),
        c10::toString(y.scalar_type()));
  check(x.device() == y.device(), "[{}] y: expected it on {} as x, got it on {}", function, x.device().str(),
        y.device().str());
}

/// A scalar [] as x: of its dtype and on its device.
at::Tensor scalar_as(const at::Tensor& x, const at::Tensor& scalar, const char* function, const char* argument) {
  check(scalar.defined() && scalar.dim() == 0 && scalar.is_floating_point(), "[{}] {}: expected a floating scalar []",
        function, argument);
  return scalar.to(x.options());
}

void check_ids(const at::Tensor& ids, const at::Tensor& rows, const char* argument) {
  check(ids.defined() && ids.scalar_type() == at::kLong && ids.sizes() == at::IntArrayRef{rows.size(0)} &&
            ids.device() == rows.device(),
        "[log_sum_exp] filter.{}: expected int64 [{}] on {}, got {}", argument, rows.size(0), rows.device().str(),
        ids.defined()
            ? fmt::format("{} {} on {}", c10::toString(ids.scalar_type()), ids.sizes().vec(), ids.device().str())
            : "none");
}

/// x, y and the scale without their graph, and the logits of a tile.
struct Operands {
  at::Tensor x, y, scale;

  static Operands of(const at::Tensor& x, const at::Tensor& y, const at::Tensor& scale) {
    return {x.detach().contiguous(), y.detach().contiguous(), scale.detach()};
  }

  at::Tensor logits(RowRange r, RowRange c) const { return product(narrowed(x, r) * scale, narrowed(y, c)); }
};

/// Where the filter drops a logit of the tile: bool [rows, columns], or undefined where it keeps all.
at::Tensor dropped(const PairFilter& filter, RowRange r, RowRange c) {
  if (filter.keep == Keep::all) return {};
  const auto rows = narrowed(filter.row_ids, r).unsqueeze(1), columns = narrowed(filter.column_ids, c).unsqueeze(0);
  return filter.keep == Keep::equal ? rows != columns : rows == columns;
}

/// The largest logit of a tile if one exponential serves both directions, NaN otherwise.
double common_shift(const at::Tensor& logits) {
  const auto [low, high] = at::aminmax(logits);
  const auto least = low.item<double>(), most = high.item<double>();
  return most - least < safe_range ? most : std::numeric_limits<double>::quiet_NaN();
}

LogSumExp sums_of_tile(at::Tensor logits, const at::Tensor& without) {
  const auto shift = common_shift(logits);
  if (std::isnan(shift)) {
    if (without.defined()) logits.masked_fill_(without, minus_infinity);
    return {at::logsumexp(logits, 1), at::logsumexp(logits, 0)};
  }
  logits.sub_(shift).exp_();
  if (without.defined()) logits.masked_fill_(without, 0.0);
  return {logits.sum(1).log_().add_(shift), logits.sum(0).log_().add_(shift)};
}

/// dL/dS of a tile, in place of its logits: g_i softmax_j + h_j softmax_i.
at::Tensor gradient_of_tile(at::Tensor logits, const at::Tensor& without, const LogSumExp& sums,
                            const LogSumExp& gradients) {
  const auto rows = sums.rows.unsqueeze(1), columns = sums.columns.unsqueeze(0);
  const auto g = gradients.rows.unsqueeze(1), h = gradients.columns.unsqueeze(0);
  const auto shift = common_shift(logits);
  at::Tensor gradient;
  if (std::isnan(shift)) {
    gradient = (logits - rows).exp_().mul_(g);
    gradient.add_(logits.sub_(columns).exp_().mul_(h));
  } else {
    const auto factors = (shift - rows).exp_().mul_(g) + (shift - columns).exp_().mul_(h);
    gradient = logits.sub_(shift).exp_().mul_(factors);
  }
  if (without.defined()) gradient.masked_fill_(without, 0.0);
  return gradient;
}

/// Sends dL/dS of each tile on to x, y and the scale: {dx, dy, dscale}.
///   diagonal: [min(N, M)], what dL/dS has there besides; or undefined
template <typename TileGradient>
variable_list gradients_of_operands(const Operands& in, const TileGradient& tile_gradient,
                                    const at::Tensor& diagonal = {}) {
  const TileWalk walk(in.x, in.y);
  const auto dx = at::zeros_like(in.x), dy = at::zeros_like(in.y);
  std::vector<at::Tensor> row_parts(static_cast<std::size_t>(walk.threads()));
  walk.run(
      [&](RowRange r, RowRange c, std::int64_t thread) {
        const auto gradient = tile_gradient(in.logits(r, c), r, c, thread);
        auto& part = row_parts[static_cast<std::size_t>(thread)];
        const auto of_rows = product(gradient, narrowed(in.y, c).t());
        if (part.defined()) {
          part.add_(of_rows);
        } else {
          part = of_rows;
        }
        narrowed(dy, c).add_(product(gradient.t(), narrowed(in.x, r).t()));
      },
      [&](RowRange r) {
        for (auto& part : row_parts)
          if (part.defined()) narrowed(dx, r).add_(std::exchange(part, {}));
      });
  if (diagonal.defined()) {
    const RowRange shared{0, diagonal.size(0)};
    const auto g = diagonal.unsqueeze(1);
    narrowed(dx, shared).addcmul_(narrowed(in.y, shared), g);
    narrowed(dy, shared).addcmul_(narrowed(in.x, shared), g);
  }
  // d/dscale sum_ij G_ij scale x_i.y_j = sum_i x_i . (G y)_i
  const auto dscale = at::dot(in.x.view(-1), dx.view(-1));
  return {dx.mul_(in.scale), dy.mul_(in.scale), dscale};
}

at::Tensor diagonal_of(const Operands& in) {
  const auto diagonal = at::empty({std::min(in.x.size(0), in.y.size(0))}, in.x.options());
  for_each_range(diagonal.size(0), 512,
                 [&](RowRange r) { narrowed(diagonal, r).copy_((narrowed(in.x, r) * narrowed(in.y, r)).sum(1)); });
  return diagonal.mul_(in.scale);
}

struct LogSumExpNode : torch::autograd::Function<LogSumExpNode> {
  static variable_list forward(AutogradContext* context, const Variable& x, const Variable& y, const Variable& scale,
                               const PairFilter& filter) {
    const auto in = Operands::of(x, y, scale);
    const TileWalk walk(x, y);
    const auto rows = at::full({x.size(0)}, minus_infinity, in.x.options());
    const auto columns = at::full({y.size(0)}, minus_infinity, in.x.options());
    std::vector<at::Tensor> row_parts(static_cast<std::size_t>(walk.threads()));
    walk.run(
        [&](RowRange r, RowRange c, std::int64_t thread) {
          const auto tile = sums_of_tile(in.logits(r, c), dropped(filter, r, c));
          auto& part = row_parts[static_cast<std::size_t>(thread)];
          part = part.defined() ? at::logaddexp(part, tile.rows) : tile.rows;
          const auto column_part = narrowed(columns, c);
          column_part.copy_(at::logaddexp(column_part, tile.columns));
        },
        [&](RowRange r) {
          const auto row_part = narrowed(rows, r);
          for (auto& part : row_parts)
            if (part.defined()) row_part.copy_(at::logaddexp(row_part, std::exchange(part, {})));
        });
    context->save_for_backward({x, y, scale, rows, columns, filter.row_ids, filter.column_ids});
    context->saved_data["keep"] = static_cast<std::int64_t>(filter.keep);
    return {rows, columns, diagonal_of(in)};
  }

  static variable_list backward(AutogradContext* context, const variable_list& upstream) {
    const auto saved = context->get_saved_variables();
    const auto keep = static_cast<Keep>(context->saved_data["keep"].toInt());
    const PairFilter filter{.keep = keep, .row_ids = saved[5], .column_ids = saved[6]};
    const LogSumExp sums{saved[3], saved[4]}, gradients{upstream[0], upstream[1]};
    auto result = gradients_of_operands(
        Operands::of(saved[0], saved[1], saved[2]),
        [&](at::Tensor logits, RowRange r, RowRange c, std::int64_t) {
          return gradient_of_tile(std::move(logits), dropped(filter, r, c),
                                  {narrowed(sums.rows, r), narrowed(sums.columns, c)},
                                  {narrowed(gradients.rows, r), narrowed(gradients.columns, c)});
        },
        upstream[2]);
    result.emplace_back();  // of the filter
    return result;
  }
};

struct SoftplusSumNode : torch::autograd::Function<SoftplusSumNode> {
  static Variable forward(AutogradContext* context, const Variable& x, const Variable& y, const Variable& scale,
                          const Variable& bias) {
    const auto in = Operands::of(x, y, scale);
    const TileWalk walk(x, y);
    const auto parts = at::zeros({walk.threads()}, in.x.options());
    walk.run([&](RowRange r, RowRange c,
                 std::int64_t thread) { parts[thread].add_(at::softplus(in.logits(r, c).add_(bias)).sum()); },
             [](RowRange) {});
    context->save_for_backward({x, y, scale, bias});
    return parts.sum();
  }

  static variable_list backward(AutogradContext* context, const variable_list& upstream) {
    const auto saved = context->get_saved_variables();
    const auto in = Operands::of(saved[0], saved[1], saved[2]);
    const auto bias = saved[3].detach();
    const auto dbias = at::zeros({TileWalk(in.x, in.y).threads()}, bias.options());
    auto result = gradients_of_operands(in, [&](at::Tensor logits, RowRange, RowRange, std::int64_t thread) {
      auto gradient = logits.add_(bias).sigmoid_().mul_(upstream[0]);
      dbias[thread].add_(gradient.sum());
      return gradient;
    });
    result.push_back(dbias.sum());
    return result;
  }
};

using Term = std::function<at::Tensor(const std::vector<at::Tensor>&, RowRange)>;

/// The gradients are taken in the forward pass, block by block, and only scaled in the backward one.
struct SumOverRowsNode : torch::autograd::Function<SumOverRowsNode> {
  static Variable forward(AutogradContext* context, at::TensorList inputs, RowRange rows, std::int64_t block,
                          const Term& term, bool with_gradients) {
    std::vector<at::Tensor> leaves;
    for (const auto& input : inputs)
      leaves.push_back(input.detach().set_requires_grad(with_gradients && input.requires_grad()));
    at::Tensor sum;
    for_each_range(rows.count, block, [&](RowRange within) {
      const at::AutoGradMode with_graph(with_gradients);
      const auto part = term(leaves, {rows.begin + within.begin, within.count});
      if (!part.defined() || part.dim() != 0 || !part.is_floating_point())
        fail("[sum_over_rows] term: expected it to give a floating scalar [], got {}",
             part.defined() ? fmt::format("{} {}", c10::toString(part.scalar_type()), part.sizes().vec()) : "none");
      if (part.requires_grad()) part.backward();
      sum = sum.defined() ? sum + part.detach() : part.detach();
    });
    variable_list gradients;
    for (const auto& leaf : leaves) gradients.push_back(leaf.grad());
    context->save_for_backward(gradients);
    return sum;
  }

  static variable_list backward(AutogradContext* context, const variable_list& upstream) {
    auto result = context->get_saved_variables();
    for (auto& gradient : result)
      if (gradient.defined()) gradient = gradient * upstream[0];
    result.resize(result.size() + 4);  // of rows, block, term, with_gradients
    return result;
  }
};

}  // namespace

LogSumExp log_sum_exp(const at::Tensor& x, const at::Tensor& y, const at::Tensor& scale, const PairFilter& filter) {
  check_operands(x, y, "log_sum_exp");
  if (filter.keep != Keep::all) {
    check_ids(filter.row_ids, x, "row_ids");
    check_ids(filter.column_ids, y, "column_ids");
  }
  const auto sums = LogSumExpNode::apply(x, y, scalar_as(x, scale, "log_sum_exp", "scale"), filter);
  return {sums[0], sums[1], sums[2]};
}

at::Tensor softplus_sum(const at::Tensor& x, const at::Tensor& y, const at::Tensor& scale, const at::Tensor& bias) {
  check_operands(x, y, "softplus_sum");
  return SoftplusSumNode::apply(x, y, scalar_as(x, scale, "softplus_sum", "scale"),
                                scalar_as(x, bias, "softplus_sum", "bias"));
}

at::Tensor sum_over_rows(const std::vector<at::Tensor>& inputs, RowRange rows, std::int64_t width, const Term& term) {
  constexpr std::int64_t elements = std::int64_t{1} << 23;
  check(term != nullptr, "[sum_over_rows] term: expected a function, got an empty one");
  check(!inputs.empty(), "[sum_over_rows] inputs: expected at least one");
  for (const auto& input : inputs) check(input.defined(), "[sum_over_rows] inputs: expected tensors, got an empty one");
  check(rows.begin >= 0 && rows.count >= 1 && rows.begin <= std::numeric_limits<std::int64_t>::max() - rows.count,
        "[sum_over_rows] rows: expected at least one from row 0 on, got {} from row {} on", rows.count, rows.begin);
  const auto block = std::clamp<std::int64_t>(elements / std::max<std::int64_t>(1, width), 1, rows.count);
  return SumOverRowsNode::apply(at::TensorList(inputs), rows, block, term, at::GradMode::is_enabled());
}

}  // namespace vlalign::tiles
