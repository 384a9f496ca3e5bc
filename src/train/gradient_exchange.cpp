#include "train/gradient_exchange.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/scalar_tensor.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

#include <cstdint>
#include <functional>
#include <utility>

#include "ranks/ranks_state.hpp"

namespace vlalign {
namespace {

namespace autograd_impl = torch::autograd::impl;

constexpr std::size_t bucket_bytes = std::size_t{8} << 20;

/// Gradients that travel together, with a 1 or a 0 for each behind them: whether the rank has it. The last number
/// counts the ranks on which one came twice.
struct Bucket {
  std::vector<std::size_t> parameters;
  std::vector<at::Tensor> slots;  ///< views of `numbers`, in the parameters' memory layout
  at::Tensor numbers, flags, again;
  std::size_t missing = 0;  ///< of its gradients, those that have not come
  c10::intrusive_ptr<c10d::Work> work;
};

struct Slot {
  std::size_t bucket = 0, place = 0;
  bool filled = false;
};

class Hook : public torch::autograd::PostAccumulateGradHook {
 public:
  explicit Hook(std::function<void()> call) : call_(std::move(call)) {}
  void operator()(const torch::autograd::Variable&) override { call_(); }

 private:
  std::function<void()> call_;
};

}  // namespace

std::vector<at::Tensor> trained_parameters(const torch::nn::Module& module, const std::string& prefix) {
  std::vector<at::Tensor> image, text, others;
  for (const auto& item : module.named_parameters()) {
    if (!item.value().requires_grad()) continue;
    const auto is_of = [&](const char* part) { return item.key().starts_with(prefix + part); };
    auto& own = is_of("visual.") || is_of("image_projection.") ? image
                : is_of("text.") || is_of("text_projection.")  ? text
                                                               : others;
    own.push_back(item.value());
  }
  image.insert(image.end(), text.begin(), text.end());
  image.insert(image.end(), others.begin(), others.end());
  return image;
}

struct GradientExchange::State {
  State(const Ranks& its_ranks, std::vector<at::Tensor> its_parameters)
      : ranks(its_ranks), parameters(std::move(its_parameters)), slots(parameters.size()) {
    assign_buckets();
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      auto& hook = autograd_impl::post_acc_grad_hooks(parameters[i]);
      others.push_back(std::move(hook));
      autograd_impl::set_post_acc_grad_hooks(parameters[i], std::make_unique<Hook>([this, i] { gradient_came(i); }));
    }
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    for (std::size_t i = 0; i < parameters.size(); ++i)
      autograd_impl::set_post_acc_grad_hooks(parameters[i], std::move(others[i]));
  }

  /// In the reverse order; scalars, such as the logit scale, last: with a batch in pieces theirs comes before it is
  /// asked for.
  void assign_buckets() {
    std::vector<std::size_t> order;
    for (const bool scalars : {false, true})
      for (auto i = parameters.size(); i-- > 0;)
        if ((parameters[i].dim() == 0) == scalars) order.push_back(i);
    std::size_t bytes = bucket_bytes;
    for (const auto i : order) {
      const auto& parameter = parameters[i];
      const bool fits = !buckets.empty() && bytes < bucket_bytes &&
                        parameters[buckets.back().parameters[0]].options().type_equal(parameter.options());
      if (!fits) buckets.emplace_back(), bytes = 0;
      slots[i] = {.bucket = buckets.size() - 1, .place = buckets.back().parameters.size()};
      buckets.back().parameters.push_back(i);
      bytes += parameter.nbytes();
    }
  }

  void make_room(Bucket& bucket) const {
    if (bucket.numbers.defined()) return;
    std::int64_t count = 0;
    for (const auto i : bucket.parameters) count += parameters[i].numel();
    const auto members = std::ssize(bucket.parameters);
    bucket.numbers = at::empty({count + members + 1}, parameters[bucket.parameters[0]].detach().options());
    bucket.flags = bucket.numbers.narrow(0, count, members);
    bucket.again = bucket.numbers.narrow(0, count + members, 1);
    std::int64_t begin = 0;
    for (const auto i : bucket.parameters) {
      const auto& parameter = parameters[i];
      const auto place = bucket.numbers.narrow(0, begin, parameter.numel());
      const bool dense = parameter.is_non_overlapping_and_dense();
      bucket.slots.push_back(dense ? place.as_strided(parameter.sizes(), parameter.strides(), begin)
                                   : place.view(parameter.sizes()));
      begin += parameter.numel();
    }
  }

  void arm() {
    armed = true;
    next = 0;
    for (auto& slot : slots) slot.filled = false;
    for (auto& bucket : buckets) {
      make_room(bucket);
      bucket.missing = bucket.parameters.size();
      bucket.again.zero_();
    }
  }

  void gradient_came(std::size_t i) {
    if (others[i]) (*others[i])(parameters[i]);
    if (!armed) return;
    const at::NoGradGuard no_graph;
    if (slots[i].bucket < next) {
      buckets.back().again.fill_(1);
    } else {
      fill(i);
      send_until(buckets.size() - 1);
    }
  }

  /// The parameter's part of the average.
  void fill(std::size_t i) {
    auto& bucket = buckets[slots[i].bucket];
    auto& numbers = bucket.slots[slots[i].place];
    const auto& gradient = parameters[i].grad();
    const auto part = 1.0 / ranks.size();
    if (!gradient.defined()) {
      numbers.zero_();
    } else if (gradient.is_sparse()) {
      numbers.zero_().add_(gradient, part);
    } else {
      at::mul_out(numbers, gradient, at::scalar_tensor(part, at::kDouble));
    }
    bucket.flags.select(0, static_cast<std::int64_t>(slots[i].place)).fill_(gradient.defined() ? 1 : 0);
    if (!std::exchange(slots[i].filled, true)) --bucket.missing;
  }

  /// Those that are whole, in their order, which is the same on all ranks. The last says whether all were right, and
  /// waits for finish().
  void send_until(std::size_t end) {
    for (; next < end && buckets[next].missing == 0; ++next) send(buckets[next]);
  }

  void send(Bucket& bucket) const {
    std::vector<at::Tensor> numbers{bucket.numbers};
    auto& state = *ranks.state();
    bucket.work = state.start(bucket.numbers, [&](c10d::Backend& backend) { return backend.allreduce(numbers); });
    state.bytes += state.bytes_of_sum(bucket.numbers);
  }

  void finish() {
    const at::NoGradGuard no_graph;
    exchange();
    // A backward pass within another may give a parameter's gradient in two parts, of which the first was sent.
    const bool again = buckets.back().again.item<double>() > 0;
    if (again) {
      arm();
      exchange();
    }
    for (auto& bucket : buckets) take(bucket);
  }

  void exchange() {
    armed = false;
    for (std::size_t i = 0; i < slots.size(); ++i)
      if (!slots[i].filled) fill(i);
    send_until(buckets.size());
    for (auto& bucket : buckets) ranks.state()->wait(bucket.numbers, bucket.work);
  }

  void take(const Bucket& bucket) const {
    const auto flags = bucket.flags.to(at::kCPU, at::kDouble);
    for (std::size_t k = 0; k < bucket.parameters.size(); ++k) {
      auto& gradient = parameters[bucket.parameters[k]].mutable_grad();
      gradient = flags.const_data_ptr<double>()[k] > 0 ? bucket.slots[k] : at::Tensor();
    }
  }

  Ranks ranks;
  std::vector<at::Tensor> parameters;
  std::vector<Slot> slots;  ///< of each parameter
  std::vector<std::unique_ptr<torch::autograd::PostAccumulateGradHook>> others;
  std::vector<Bucket> buckets;
  std::size_t next = 0;  ///< bucket to send
  bool armed = false;
};

GradientExchange::GradientExchange(const Ranks& ranks, std::vector<at::Tensor> parameters)
    : state_(ranks.alone() || parameters.empty() ? nullptr : std::make_unique<State>(ranks, std::move(parameters))) {}

GradientExchange::~GradientExchange() = default;

void GradientExchange::arm() {
  if (state_) state_->arm();
}

void GradientExchange::finish() {
  if (state_) state_->finish();
}

}  // namespace vlalign
