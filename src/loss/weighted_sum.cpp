#include "vlalign/loss/weighted_sum.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>

#include "core/check.hpp"
#include "loss/checked_batch.hpp"

namespace vlalign {
namespace {

void check_weight(const Weight& w, const std::string& loss) {
  check(std::isfinite(w.from) && std::isfinite(w.to), "[WeightedSum] the weight of {} is not finite", loss);
  check(0 <= w.begin && w.begin <= w.end && w.end <= 1,
        "[WeightedSum] the weight of {}: expected 0 <= begin <= end <= 1, got {} and {}", loss, w.begin, w.end);
}

std::string to_string(const Weight& w) {
  if (w.from == w.to) return w.from == 1.0 ? "" : fmt::format("{} ", w.from);
  return fmt::format("({} to {} from {} to {} of the run) ", w.from, w.to, w.begin, w.end);
}

}  // namespace

double Weight::at(double progress) const {
  if (progress < begin) return from;
  if (progress >= end) return to;
  return from + (to - from) * (progress - begin) / (end - begin);
}

WeightedSum::WeightedSum(std::vector<Term> terms) : terms_(std::move(terms)) {
  check(!terms_.empty(), "[WeightedSum] expected at least one term");
  for (const auto& [loss, weight] : terms_) check_weight(weight, loss->name());
}

at::Tensor WeightedSum::forward(const ContrastiveBatch& batch) const {
  at::Tensor sum;
  for (const auto& [loss, weight] : terms_) {
    const auto w = weight.at(batch.progress);
    if (w == 0) continue;
    const auto term = w * loss->forward(batch);
    sum = sum.defined() ? sum + term : term;
  }
  check(sum.defined(), "[WeightedSum] {}: every weight is 0 at {} of the run", name(), batch.progress);
  return sum;
}

std::string WeightedSum::name() const {
  std::string all;
  for (const auto& [loss, weight] : terms_) all += (all.empty() ? "" : " + ") + to_string(weight) + loss->name();
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
