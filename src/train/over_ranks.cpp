#include "train/over_ranks.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string>

#include "core/check.hpp"
#include "core/json/dump_json.hpp"
#include "core/json/parse_json.hpp"
#include "core/log.hpp"
#include "vlalign/core/version.hpp"

namespace vlalign {
namespace {

using nlohmann::json;

/// What may differ between the ranks of one run.
constexpr std::array own_settings{"device", "threads", "data"};

/// "seed is 1 on rank 0 on host a, 2 on rank 1 on host b", for each that differs.
std::vector<std::string> differences(const Ranks& ranks, const json& first, const json& other, int rank) {
  std::vector<std::string> found;
  for (const auto& [key, value] : first.items()) {
    const auto its = other.value(key, json());
    if (its != value)
      found.push_back(fmt::format("{} is {} on {}, {} on {}", key, dump_readable(value), ranks.name(0),
                                  dump_readable(its), ranks.name(rank)));
  }
  return found;
}

}  // namespace

void check_same_on_ranks(const Ranks& ranks, const json& settings) {
  if (ranks.alone()) return;
  auto own = settings.flatten();
  own["/vlalign"] = version();
  for (const auto* key : own_settings) own.erase(std::string("/") + key);
  const auto texts = ranks.gather(dump_readable(own));
  const auto first = json::parse(texts.front());
  for (int rank = 1; rank < ranks.size(); ++rank) {
    const auto& text = texts[static_cast<std::size_t>(rank)];
    if (text == texts.front()) continue;
    const auto found = differences(ranks, first, json::parse(text), rank);
    check(found.empty(), "[Trainer] ranks: they are not about the same run: {}", fmt::join(found, "; "));
  }
}

void share_progression(const Ranks& ranks, Progression& p) {
  if (ranks.alone()) return;
  auto numbers = at::tensor({p.step, p.samples_seen, p.skipped_steps, p.skipped_in_a_row});
  ranks.broadcast(numbers);
  const auto* shared = numbers.const_data_ptr<std::int64_t>();
  p = {.step = shared[0], .samples_seen = shared[1], .skipped_steps = shared[2], .skipped_in_a_row = shared[3]};
}

/// Through a copy: what was made from a tensor shall see that it has changed.
void share_tensors(const Ranks& ranks, const std::vector<at::Tensor>& tensors) {
  if (ranks.alone()) return;
  const at::NoGradGuard no_graph;
  for (auto tensor : tensors) {
    const auto numbers = tensor.detach().clone(at::MemoryFormat::Contiguous);
    ranks.broadcast(numbers);
    tensor.copy_(numbers);
  }
}

void average_buffers(const Ranks& ranks, const std::vector<at::Tensor>& buffers, std::int64_t rows) {
  if (ranks.alone() || buffers.empty()) return;
  const at::NoGradGuard no_graph;
  std::vector<at::Tensor> parts;
  for (const auto& buffer : buffers) parts.push_back(buffer.reshape(-1) * rows);
  parts.push_back(at::full({1}, rows, parts.front().options()));
  const auto sums = at::cat(parts);
  ranks.sum(sums);
  const auto all_rows = sums[-1];
  std::int64_t begin = 0;
  for (auto buffer : buffers) {
    buffer.copy_((sums.narrow(0, begin, buffer.numel()) / all_rows).view_as(buffer));
    begin += buffer.numel();
  }
}

void share_figures(const Ranks& ranks, SharedFigures& figures, StepResult& known) {
  if (ranks.alone()) return;
  auto& f = figures;
  const auto own = at::tensor({f.loss, f.accuracy, f.action_loss, f.grad_norm, f.largest_buffer,
                               static_cast<double>(known.samples_seen), known.wait_s, f.own_seconds.front()});
  const auto all = ranks.gather(own.unsqueeze(0));
  const auto mean = all.mean(0), largest = all.amax(0);
  const auto at = [](const at::Tensor& row, std::int64_t i) { return row.const_data_ptr<double>()[i]; };
  f.loss = at(mean, 0);
  f.accuracy = at(mean, 1);
  f.action_loss = at(mean, 2);
  f.grad_norm = at(all, 3);  // rank 0's: other machines may round it otherwise
  f.largest_buffer = at(largest, 4);
  known.samples_seen = static_cast<std::int64_t>(at(all.sum(0), 5));
  known.wait_s = at(largest, 6);
  f.own_seconds.clear();
  for (int rank = 0; rank < ranks.size(); ++rank) f.own_seconds.push_back(at(all[rank], 7));
}

void SlowRank::note(const Ranks& ranks, const std::vector<double>& own_seconds) {
  constexpr double much = 1.5, least = 0.02;  // of the others' time; seconds
  constexpr int steps = 20, again = 1000;
  auto sorted = own_seconds;
  std::sort(sorted.begin(), sorted.end());
  const auto slowest = static_cast<int>(std::max_element(own_seconds.begin(), own_seconds.end()) - own_seconds.begin());
  const auto longest = sorted.back(), usual = sorted[(sorted.size() - 1) / 2];
  const bool is_slow = longest > much * usual && longest > usual + least;
  in_a_row_ = is_slow && slowest == rank_ ? in_a_row_ + 1 : 0;
  rank_ = slowest;
  if (in_a_row_ % again == steps && ranks.rank() == 0)
    log_warning("{} is slow: its part of a step took {:.2f} s, the others' {:.2f} s", ranks.name(slowest), longest,
                usual);
}

bool any_of_ranks(const Ranks& ranks, bool yes) {
  if (ranks.alone()) return yes;
  const auto count = at::full({1}, yes ? 1 : 0, at::kLong);
  ranks.sum(count);
  return count.item<std::int64_t>() > 0;
}

}  // namespace vlalign
