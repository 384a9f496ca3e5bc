#include "model/input_statistics.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/minimum.h>

namespace vlalign {
namespace {

constexpr std::int64_t rows_of_call = 24, rows_in_all = 384;

/// At most so many rows of x [M, K], evenly spaced.
at::Tensor spaced_rows(const at::Tensor& x, std::int64_t most) {
  const auto stride = (x.size(0) + most - 1) / most;
  return x.slice(0, 0, x.size(0), stride).clone();
}

}  // namespace

InputObserver::InputObserver(const std::vector<nn::NamedProduct>& products) : seen_(products.size()) {
  for (std::size_t i = 0; i < products.size(); ++i)
    for (const auto& way : products[i].ways) product_of_[&way] = i;
}

void InputObserver::see(const nn::KeptProduct& product, const at::Tensor& x) {
  const auto found = product_of_.find(&product);
  const bool sequence = x.dim() > 2;
  if (found == product_of_.end() || !sequence) return;
  const auto rows = x.detach().reshape({-1, x.size(-1)});
  auto& seen = seen_[found->second];
  const auto least = rows.amin(0), largest = rows.amax(0);
  seen.least = seen.least.defined() ? at::minimum(seen.least, least) : least;
  seen.largest = seen.largest.defined() ? at::maximum(seen.largest, largest) : largest;
  seen.rows.push_back(spaced_rows(rows, rows_of_call));
}

std::vector<InputStatistics> InputObserver::statistics() const {
  std::vector<InputStatistics> all;
  for (const auto& seen : seen_) {
    const bool any = seen.least.defined();
    all.push_back({seen.least, seen.largest, any ? spaced_rows(at::cat(seen.rows), rows_in_all) : at::Tensor()});
  }
  return all;
}

}  // namespace vlalign
