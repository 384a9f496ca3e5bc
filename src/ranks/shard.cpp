#include "vlalign/ranks/shard.hpp"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_strided.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <utility>

#include "core/check.hpp"
#include "ranks/ranks_state.hpp"

namespace vlalign {
namespace {

constexpr std::int64_t unit = 16;                                // numbers: 64 bytes of float32
constexpr std::int64_t numbers_at_once = std::int64_t{2} << 20;  // of all ranks

/// How many of a tensor's numbers a rank holds, the last ranks fewer.
std::int64_t run_of(std::int64_t count, int ranks) {
  const auto units = (count + unit - 1) / unit;
  return (units + ranks - 1) / ranks * unit;
}

/// The numbers in the order of memory.
at::Tensor flat(const at::Tensor& tensor) {
  return tensor.detach().as_strided({tensor.numel()}, {1}, tensor.storage_offset());
}

/// Where a rank's run lies, cut to what is there.
at::Tensor run_in(const at::Tensor& flat, int rank, int ranks) {
  const auto run = run_of(flat.numel(), ranks);
  const auto begin = std::min(rank * run, flat.numel());
  return flat.narrow(0, begin, std::min(run, flat.numel() - begin));
}

/// Stretches of the ranks' runs that travel together, each from the same place in its run.
class Exchange {
 public:
  explicit Exchange(const Ranks& ranks) : ranks_(ranks) {}

  /// own: this rank's run; whole: all of them, flat, or undefined where they aren't wanted; count: of the whole
  void add(const at::Tensor& own, const at::Tensor& whole, std::int64_t count) {
    const auto run = run_of(count, ranks_.size()), most = std::max(unit, numbers_at_once / ranks_.size());
    for (std::int64_t begin = 0; begin < run; begin += most) {
      const auto length = std::min(most, run - begin);
      const bool fits = stretches_.empty() || (length_ + length <= most && own.options().type_equal(type_));
      if (!fits) send();
      type_ = own.options();
      stretches_.push_back({own, whole, run, begin, length});
      length_ += length;
    }
  }

  void send() {
    if (stretches_.empty()) return;
    const auto own = at::zeros({length_}, type_), all = at::empty({ranks_.size(), length_}, type_);
    std::int64_t at = 0;
    for (const auto& s : stretches_) {
      const auto there = std::clamp(s.own.numel() - s.begin, std::int64_t{0}, s.length);
      if (there > 0) own.narrow(0, at, there).copy_(s.own.narrow(0, s.begin, there));
      at += s.length;
    }
    ranks_.state()->all_gather(own, all.flatten());
    at = 0;
    for (const auto& s : stretches_) {
      if (s.whole.defined()) take(s, all.narrow(1, at, s.length));
      at += s.length;
    }
    stretches_.clear();
    length_ = 0;
  }

 private:
  struct Stretch {
    at::Tensor own, whole;
    std::int64_t run, begin, length;
  };

  /// rows: [R, length], of which those beyond the tensor's end are nothing.
  void take(const Stretch& s, const at::Tensor& rows) const {
    const auto count = s.whole.numel();
    const auto beyond = count - s.begin - s.length;  // the first rank's stretch
    const auto full = beyond < 0 ? 0 : std::min<std::int64_t>(beyond / s.run + 1, ranks_.size());
    if (full > 0)
      s.whole.as_strided({full, s.length}, {s.run, 1}, s.whole.storage_offset() + s.begin)
          .copy_(rows.narrow(0, 0, full));
    const auto next = full * s.run + s.begin;
    if (full < ranks_.size() && next < count)
      s.whole.narrow(0, next, count - next).copy_(rows[full].narrow(0, 0, count - next));
  }

  const Ranks& ranks_;
  std::vector<Stretch> stretches_;
  std::int64_t length_ = 0;
  at::TensorOptions type_;
};

}  // namespace

Shard::Shard(at::Tensor own, const at::Tensor& whole, const Ranks& ranks, bool on_each)
    : own_(std::move(own)),
      ranks_(ranks),
      on_each_(on_each),
      sizes_(whole.sizes().vec()),
      strides_(whole.strides().vec()) {}

Shard Shard::zeros_like(const at::Tensor& tensor, const Ranks& ranks) {
  const auto whole = tensor.detach();
  check(whole.is_non_overlapping_and_dense(),
        "[Shard] expected a tensor without gaps in its memory, got strides {} of sizes {}",
        fmt::join(whole.strides(), "x"), fmt::join(whole.sizes(), "x"));
  if (ranks.alone()) return of_each(at::empty_strided(whole.sizes(), whole.strides(), whole.options()).zero_(), ranks);
  const auto own = run_in(flat(whole), ranks.rank(), ranks.size());
  return {at::zeros(own.sizes(), whole.options()), whole, ranks, false};
}

Shard Shard::of_each(at::Tensor tensor, const Ranks& ranks) { return {tensor, tensor, ranks, true}; }

at::Tensor Shard::own_of(const at::Tensor& tensor) const {
  check(tensor.sizes() == sizes_ && tensor.strides() == strides_,
        "[Shard::own_of] expected a tensor of sizes {} and strides {}, got {} and {}", fmt::join(sizes_, "x"),
        fmt::join(strides_, "x"), fmt::join(tensor.sizes(), "x"), fmt::join(tensor.strides(), "x"));
  return on_each_ ? tensor : run_in(flat(tensor), ranks_.rank(), ranks_.size());
}

at::Tensor Shard::like() const { return at::empty(sizes_, own_.options().device(at::kMeta)); }

at::Tensor Shard::collect() const {
  if (on_each_) return ranks_.rank() == 0 ? own_ : at::Tensor();
  const auto whole = ranks_.rank() == 0 ? at::empty_strided(sizes_, strides_, own_.options()) : at::Tensor();
  Exchange exchange(ranks_);
  exchange.add(own_, whole.defined() ? flat(whole) : whole, c10::multiply_integers(sizes_));
  exchange.send();
  return whole;
}

void Shard::distribute(const at::Tensor& whole) {
  const bool gives = ranks_.rank() == 0;
  check(!gives || (whole.defined() && whole.sizes() == sizes_),
        "[Shard::distribute] expected a tensor of sizes {} on rank 0", fmt::join(sizes_, "x"));
  if (on_each_) {
    const auto numbers = gives ? whole.to(own_.options(), /*non_blocking=*/false, /*copy=*/true).contiguous()
                               : at::empty(sizes_, own_.options());
    ranks_.broadcast(numbers);
    own_.copy_(numbers);
    return;
  }
  const auto all = gives ? flat(at::empty_strided(sizes_, strides_, own_.options()).copy_(whole)) : at::Tensor();
  const auto count = c10::multiply_integers(sizes_), own_begin = ranks_.rank() * run_of(count, ranks_.size());
  for (std::int64_t begin = 0; begin < count; begin += numbers_at_once) {
    const auto end = std::min(begin + numbers_at_once, count);
    const auto numbers = gives ? all.narrow(0, begin, end - begin) : at::empty({end - begin}, own_.options());
    ranks_.broadcast(numbers);
    const auto first = std::max(begin, own_begin), last = std::min(end, own_begin + own_.numel());
    if (first < last)
      own_.narrow(0, first - own_begin, last - first).copy_(numbers.narrow(0, first - begin, last - first));
  }
}

void share_parts(const Ranks& ranks, const std::vector<at::Tensor>& tensors) {
  if (ranks.alone()) return;
  const at::NoGradGuard no_graph;
  Exchange exchange(ranks);
  for (const auto& tensor : tensors) {
    const auto whole = flat(tensor);
    exchange.add(run_in(whole, ranks.rank(), ranks.size()), whole, whole.numel());
  }
  exchange.send();
  // What was made from a tensor shall see that it has changed.
  for (const auto& tensor : tensors) tensor.unsafeGetTensorImpl()->bump_version();
}

}  // namespace vlalign
