// What each rank has some rows of.
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <utility>

#include "core/check.hpp"
#include "ranks/ranks_state.hpp"

namespace vlalign {
namespace {

/// [n_0 + n_1 + ...] of [n_r]; counts: the n of each rank
at::Tensor gather_rows(Ranks::State& ranks, const at::Tensor& rows, const std::vector<std::int64_t>& counts) {
  const auto most = *std::max_element(counts.begin(), counts.end());
  auto shape = rows.sizes().vec();
  shape[0] = most;
  auto own = rows.contiguous();
  if (rows.size(0) < most) {
    own = at::zeros(shape, rows.options());
    own.narrow(0, 0, rows.size(0)).copy_(rows);
  }
  shape.insert(shape.begin(), ranks.size);
  auto all = at::empty(shape, rows.options());
  const auto flat = all.flatten(0, 1);
  ranks.all_gather(own, flat);
  if (std::all_of(counts.begin(), counts.end(), [&](auto count) { return count == most; })) return flat;
  std::vector<at::Tensor> parts;
  for (int r = 0; r < ranks.size; ++r) parts.push_back(all[r].narrow(0, 0, counts[static_cast<std::size_t>(r)]));
  return at::cat(parts);
}

}  // namespace

std::int64_t bytes_of_row(const at::Tensor& rows) {
  return c10::multiply_integers(rows.sizes().slice(1)) * static_cast<std::int64_t>(rows.element_size());
}

std::vector<std::int64_t> counts_of_rows(Ranks::State& ranks, std::int64_t own, std::int64_t width) {
  const auto all = gather_rows(ranks, at::tensor({own, width}).unsqueeze(0),
                               std::vector<std::int64_t>(static_cast<std::size_t>(ranks.size), 1));
  std::vector<std::int64_t> counts;
  for (int r = 0; r < ranks.size; ++r) {
    const auto* theirs = all.const_data_ptr<std::int64_t>() + 2 * r;
    vlalign::check(theirs[1] == width, "[Ranks] gather: rows of {} bytes here, of {} on {}", width, theirs[1],
                   ranks.names[static_cast<std::size_t>(r)]);
    counts.push_back(theirs[0]);
  }
  return counts;
}

namespace {

/// The bytes of each row, [n, w].
at::Tensor bytes_of_rows(const at::Tensor& part) {
  const auto width = c10::multiply_integers(part.sizes().slice(1));
  return part.detach().reshape({part.size(0), width}).contiguous().view(at::kByte);
}

/// Of parts of the same rows, those of all ranks, in one collective: [n_0 + n_1 + ..., ...] each.
std::vector<at::Tensor> gather_side_by_side(Ranks::State& ranks, const std::vector<at::Tensor>& parts,
                                            const std::vector<std::int64_t>& counts) {
  std::vector<at::Tensor> columns;
  std::vector<std::int64_t> widths;
  for (const auto& part : parts) {
    columns.push_back(bytes_of_rows(part));
    widths.push_back(columns.back().size(1));
  }
  auto all = gather_rows(ranks, at::cat(columns, 1), counts).split_with_sizes(widths, 1);
  for (std::size_t i = 0; i < all.size(); ++i) {
    auto shape = parts[i].sizes().vec();
    shape[0] = all[i].size(0);
    all[i] = all[i].contiguous().view(parts[i].scalar_type()).reshape(shape);
  }
  return all;
}

/// Where a rank's rows are among all that were gathered.
struct GatheredRows : torch::CustomClassHolder {
  GatheredRows(Ranks its_ranks, at::Tensor its_all) : ranks(std::move(its_ranks)), all(std::move(its_all)) {}

  Ranks ranks;
  at::Tensor all;  ///< until they are given
  std::int64_t before = 0, own = 0;
};

/// Of one part: one that a loss doesn't use must have no gradient, where one of zeros would let its weights decay.
struct Gather : torch::autograd::Function<Gather> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor&,
                            const c10::intrusive_ptr<GatheredRows>& rows) {
    context->saved_data["rows"] = c10::IValue::make_capsule(rows);
    return std::exchange(rows->all, {});
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& upstream) {
    const auto holder = context->saved_data["rows"].toCapsule();
    const auto& rows = static_cast<const GatheredRows&>(*holder);
    auto gradient = upstream[0].clone(at::MemoryFormat::Contiguous);
    rows.ranks.sum(gradient);
    return {gradient.narrow(0, rows.before, rows.own), at::Tensor()};
  }
};

}  // namespace

at::Tensor Ranks::gather(const at::Tensor& rows) const { return gather(std::vector<at::Tensor>{rows}).front(); }

std::vector<at::Tensor> Ranks::gather(const std::vector<at::Tensor>& parts) const {
  if (alone() || parts.empty()) return parts;
  for (const auto& part : parts)
    vlalign::check(part.defined() && part.dim() >= 1 && part.size(0) == parts.front().size(0),
                   "[Ranks::gather] rows: expected [n, ...] of each part");
  std::int64_t width = 0;
  for (const auto& part : parts) width += bytes_of_row(part);
  const auto counts = counts_of_rows(*state_, parts.front().size(0), width);
  auto all = gather_side_by_side(*state_, parts, counts);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    auto rows = c10::make_intrusive<GatheredRows>(*this, all[i]);
    rows->own = parts[i].size(0);
    for (int r = 0; r < rank(); ++r) rows->before += counts[static_cast<std::size_t>(r)];
    all[i] = Gather::apply(parts[i], rows);
  }
  return all;
}

std::vector<std::string> Ranks::gather(std::string_view text) const {
  if (alone()) return {std::string(text)};
  auto own = at::empty({static_cast<std::int64_t>(text.size())}, at::kByte);
  std::copy(text.begin(), text.end(), static_cast<char*>(own.mutable_data_ptr()));
  const auto counts = counts_of_rows(*state_, own.size(0), 1);
  const auto all = gather_rows(*state_, own, counts);
  const auto* next = static_cast<const char*>(all.const_data_ptr());
  std::vector<std::string> texts;
  for (const auto count : counts) texts.emplace_back(next, static_cast<std::size_t>(count)), next += count;
  return texts;
}

}  // namespace vlalign
