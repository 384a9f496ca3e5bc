#include "vlalign/loss/weighted_sum.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/check.hpp"
#include "loss/checked_batch.hpp"

namespace vlalign {
namespace {

void check_weight(const Weight& w, const std::string& loss) {
  constexpr double largest = std::numeric_limits<float>::max();  // losses are float32
  check(std::abs(w.from) <= largest && std::abs(w.to) <= largest, "[WeightedSum] the weight of {} is not finite", loss);
  check(0 <= w.begin && w.begin <= w.end && w.end <= 1,
        "[WeightedSum] the weight of {}: expected 0 <= begin <= end <= 1, got {} and {}", loss, w.begin, w.end);
}

std::string to_string(const Weight& w) {
  if (w.from == w.to) return w.from == 1.0 ? "" : fmt::format("{}*", w.from);
  return fmt::format("{}:{}@{}:{}*", w.from, w.to, w.begin, w.end);
}

}  // namespace

double Weight::at(double progress) const {
  if (progress < begin) return from;
  if (progress >= end) return to;
  return from + (to - from) * (progress - begin) / (end - begin);
}

WeightedSum::WeightedSum(std::vector<Term> terms) : terms_(std::move(terms)) {
  check(!terms_.empty(), "[WeightedSum] expected at least one term");
  for (const auto& [loss, weight] : terms_) {
    check(loss.operator->() != nullptr, "[WeightedSum] a term's loss is empty: it was moved from");
    check_weight(weight, loss->name());
  }
}

at::Tensor WeightedSum::forward(const ContrastiveBatch& batch) const {
  check(batch.progress >= 0 && batch.progress <= 1, "[WeightedSum] progress: expected 0 to 1, got {}", batch.progress);
  at::Tensor sum;
  for (const auto& [loss, weight] : terms_) {
    const auto w = weight.at(batch.progress);
    if (w == 0) continue;
    const auto value = loss->forward(batch);
    if (!value.defined() || value.dim() != 0 || !value.is_floating_point())
      fail("[WeightedSum] {}: expected a floating scalar [], got {}", loss->name(),
           value.defined() ? fmt::format("{} {}", c10::toString(value.scalar_type()), value.sizes().vec()) : "none");
    const auto term = w * value;
    sum = sum.defined() ? sum + term : term;
  }
  check(sum.defined(), "[WeightedSum] {}: every weight is 0 at {} of the run", name(), batch.progress);
  return sum;
}

std::string WeightedSum::name() const {
  std::string all;
  for (const auto& [loss, weight] : terms_) {
    const bool is_sum = dynamic_cast<const WeightedSum*>(loss.operator->()) != nullptr;
    all += (all.empty() ? "" : "+") + to_string(weight) + (is_sum ? fmt::format("({})", loss->name()) : loss->name());
  }
  return all;
}

std::string WeightedSum::options() const {
  std::string all;
  for (const auto& term : terms_) {
    if (const auto its = term.loss->options(); !its.empty()) all += fmt::format("{}({}) ", term.loss->name(), its);
  }
  if (!all.empty()) all.pop_back();
  return all;
}

BatchParts WeightedSum::uses() const {
  BatchParts parts;
  for (const auto& term : terms_) parts = parts | term.loss->uses();
  return parts;
}

}  // namespace vlalign
