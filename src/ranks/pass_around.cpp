#include "ranks/pass_around.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "ranks/ranks_state.hpp"

namespace vlalign {
namespace {

using Visit = std::function<void(const at::Tensor& rows, at::Tensor& sum)>;

struct Message {
  at::Tensor numbers;
  c10::intrusive_ptr<c10d::Work> work;
};

/// In one direction. Every message has room for the most rows of any rank.
class Way {
 public:
  ///   step: 1 or -1, to the next rank; hops: how many ranks see a rank's rows on this way
  Way(const Ranks& ranks, int step, int hops, const at::Tensor& own, const std::vector<std::int64_t>& counts)
      : ranks_(*ranks.state()), step_(step), hops_(hops), counts_(counts) {
    rows_.numbers = own;
  }

  /// Asks for what comes in a hop. Nobody may wait before all have asked.
  void ask(int hop) {
    if (hop > hops_ + 1) return;
    if (hop == hops_ + 1) {  // own rows' sum comes home
      if (hops_ > 0) sum_ = receive(hops_, Kind::home);
      return;
    }
    const auto next = receive(-1, Kind::rows);
    send(rows_.numbers, 1, Kind::rows);
    rows_ = next;
    sum_ = hop > 1 ? receive(-1, Kind::sum) : Message{at::zeros_like(rows_.numbers), {}};
  }

  /// Waits until what was sent before this hop has been taken.
  void settle() {
    for (const auto& message : std::exchange(on_their_way_, {})) ranks_.wait_for_message(message.work);
  }

  /// Waits for the rows of the rank `hop` ranks back.
  void arrive(int hop) {
    if (hop <= hops_) ranks_.wait_for_message(rows_.work);
  }

  /// Shows them, and sends on their sum with what this rank adds, or home.
  void add(int hop, const Visit& visit) {
    if (hop > hops_) return;
    const auto count = counts_[static_cast<std::size_t>(at(-hop))];
    const auto added = at::zeros_like(rows_.numbers);
    if (count > 0) {
      auto part = added.narrow(0, 0, count);
      visit(rows_.numbers.narrow(0, 0, count), part);
    }
    if (sum_.work) ranks_.wait_for_message(sum_.work);
    const auto sum = added.add_(sum_.numbers);
    hop < hops_ ? send(sum, 1, Kind::sum) : send(sum, -hops_, Kind::home);
  }

  /// What the others have added to this rank's rows.
  at::Tensor home() {
    if (hops_ == 0) return {};
    ranks_.wait_for_message(sum_.work);
    return sum_.numbers;
  }

 private:
  enum class Kind { rows, sum, home };

  int at(int distance) const { return (ranks_.rank + step_ * distance + ranks_.size) % ranks_.size; }
  int tag(Kind kind) const { return 2 * static_cast<int>(kind) + (step_ > 0 ? 1 : 0); }

  void send(const at::Tensor& numbers, int distance, Kind kind) {
    on_their_way_.push_back({numbers, ranks_.send(numbers, at(distance), tag(kind))});
  }
  Message receive(int distance, Kind kind) {
    const auto numbers = at::empty_like(rows_.numbers);
    return {numbers, ranks_.receive(numbers, at(distance), tag(kind))};
  }

  Ranks::State& ranks_;
  int step_, hops_;
  const std::vector<std::int64_t>& counts_;
  Message rows_, sum_;
  std::vector<Message> on_their_way_;
};

}  // namespace

at::Tensor pass_around(const Ranks& ranks, const at::Tensor& rows, const Visit& visit) {
  if (ranks.alone()) return at::zeros_like(rows);
  const at::NoGradGuard no_graph;
  const auto counts = counts_of_rows(*ranks.state(), rows.size(0), bytes_of_row(rows));
  auto shape = rows.sizes().vec();
  shape[0] = std::max<std::int64_t>(1, *std::max_element(counts.begin(), counts.end()));
  const auto own = at::zeros(shape, rows.options());
  own.narrow(0, 0, rows.size(0)).copy_(rows);

  const int others = ranks.size() - 1, hops = (others + 1) / 2;
  std::array ways{Way(ranks, 1, hops, own, counts), Way(ranks, -1, others - hops, own, counts)};
  for (int hop = 1; hop <= hops + 1; ++hop) {
    for (auto& way : ways) way.ask(hop);
    for (auto& way : ways) way.settle();
    for (auto& way : ways) {
      way.arrive(hop);
      way.add(hop, visit);
    }
  }
  auto sum = at::zeros(shape, rows.options());
  for (auto& way : ways) {
    if (const auto part = way.home(); part.defined()) sum.add_(part);
    way.settle();
  }
  return sum.narrow(0, 0, rows.size(0));
}

}  // namespace vlalign
