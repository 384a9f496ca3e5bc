#include "eval/nearest.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>

#include <algorithm>

namespace vlalign {
namespace {

at::Tensor on_cpu(const at::Tensor& scores) { return scores.to(at::kCPU, at::kFloat).contiguous(); }

}  // namespace

Nearest::Nearest(std::int64_t queries, std::int64_t k)
    : k_(k), best_(static_cast<std::size_t>(queries * k)), bar_(static_cast<std::size_t>(queries), Neighbour{}.score) {}

void Nearest::add(const at::Tensor& scores, std::int64_t query, std::int64_t candidate) {
  const auto tile = on_cpu(scores);
  const auto* score = tile.const_data_ptr<float>();
  for (std::int64_t row = 0; row < tile.size(0); ++row, score += tile.size(1)) {
    const auto& bar = bar_[static_cast<std::size_t>(query + row)];
    for (std::int64_t column = 0; column < tile.size(1); ++column) {
      if (score[column] > bar) insert(query + row, {score[column], static_cast<std::int32_t>(candidate + column)});
    }
  }
}

void Nearest::add_columns(const at::Tensor& scores, std::int64_t query, std::int64_t candidate) {
  const auto tile = on_cpu(scores);
  const auto* score = tile.const_data_ptr<float>();
  const auto* bar = bar_.data() + query;
  for (std::int64_t row = 0; row < tile.size(0); ++row, score += tile.size(1)) {
    for (std::int64_t column = 0; column < tile.size(1); ++column) {
      if (score[column] > bar[column])
        insert(query + column, {score[column], static_cast<std::int32_t>(candidate + row)});
    }
  }
}

void Nearest::merge(const Ranks& ranks) {
  if (ranks.alone()) return;
  static_assert(sizeof(Neighbour) == sizeof(std::int64_t));  // as which it travels
  constexpr std::int64_t at_once = std::int64_t{1} << 20;    // neighbours
  const auto queries = std::ssize(bar_), step = std::max<std::int64_t>(1, at_once / k_);
  for (std::int64_t begin = 0; begin < queries; begin += step) {
    const auto count = std::min(step, queries - begin);
    auto* const own = best_.data() + begin * k_;
    const auto sent = at::empty({1, count * k_}, at::kLong);
    std::copy_n(own, count * k_, static_cast<Neighbour*>(sent.mutable_data_ptr()));
    const auto all = ranks.gather(sent);
    std::fill_n(own, count * k_, Neighbour{});
    std::fill_n(bar_.begin() + begin, count, Neighbour{}.score);
    for (int rank = 0; rank < ranks.size(); ++rank) {
      const auto* theirs = static_cast<const Neighbour*>(all[rank].const_data_ptr());
      for (std::int64_t i = 0; i < count * k_; ++i)
        if (theirs[i].score > bar_[static_cast<std::size_t>(begin + i / k_)]) insert(begin + i / k_, theirs[i]);
    }
  }
}

void Nearest::insert(std::int64_t query, Neighbour neighbour) {
  auto* best = best_.data() + query * k_;
  auto place = k_ - 1;
  for (; place > 0 && best[place - 1].score < neighbour.score; --place) best[place] = best[place - 1];
  best[place] = neighbour;
  bar_[static_cast<std::size_t>(query)] = best[k_ - 1].score;
}

std::span<const Nearest::Neighbour> Nearest::of(std::int64_t query) const {
  return std::span(best_).subspan(static_cast<std::size_t>(query * k_), static_cast<std::size_t>(k_));
}

std::vector<std::int64_t> Nearest::occurrences(std::int64_t candidates) const {
  std::vector<std::int64_t> counts(static_cast<std::size_t>(candidates), 0);
  for (const auto& neighbour : best_) {
    if (neighbour.candidate >= 0) ++counts[static_cast<std::size_t>(neighbour.candidate)];
  }
  return counts;
}

}  // namespace vlalign
