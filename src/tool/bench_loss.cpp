#include <ATen/ops/full.h>
#include <ATen/ops/randn.h>
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "tool/bench.hpp"
#include "tool/commands.hpp"
#include "tool/output.hpp"
#include "vlalign/core/normalize.hpp"
#include "vlalign/loss/make_loss.hpp"

namespace vlalign::tool {
namespace {

struct LossFlags : DeviceFlags {
  std::int64_t n = 16384, dim = 512;
  std::string loss = "infonce";
};

ContrastiveBatch random_batch(std::int64_t n, std::int64_t dim, c10::Device device) {
  const auto rows = [&] { return l2_normalize(at::randn({n, dim})).to(device).requires_grad_(); };
  ContrastiveBatch batch{rows(), rows(), at::full({}, 1 / 0.07, device).requires_grad_()};
  batch.logit_bias = at::full({}, -10.0, device).requires_grad_();
  return batch;
}

/// Forward and backward, into no gradients of before.
double run_once(const ContrastiveLoss& loss, const ContrastiveBatch& batch) {
  for (const auto* leaf : {&batch.image, &batch.text, &batch.logit_scale, &batch.logit_bias})
    leaf->mutable_grad().reset();
  const auto value = loss.forward(batch);
  value.backward();
  return value.item<double>();
}

void run(const LossFlags& flags) {
  flags.apply();
  const auto device = parse_device(flags.device);
  const auto loss = make_loss(flags.loss);
  run_once(*loss, random_batch(std::min<std::int64_t>(flags.n, 512), flags.dim, device));  // loads the code
  const auto batch = random_batch(flags.n, flags.dim, device);
  const auto before = start_of_peak_memory_mb();
  double seconds = 0, value = 0;
  for (int run = 0; run < 2; ++run)  // the first makes the buffers
    seconds = seconds_of([&] { value = run_once(*loss, batch); });
  const auto extra = peak_memory_mb() - before;
  if (flags.json) {
    const nlohmann::ordered_json result = {
        {"n", flags.n}, {"dim", flags.dim}, {"seconds", seconds}, {"extra_mb", extra}, {"loss", value}};
    print_json(result);
  } else {
    fmt::print("{} of {} pairs of {} dimensions: {:.3f} s forward and backward, {:.0f} MB more memory\n", flags.loss,
               flags.n, flags.dim, seconds, extra);
  }
}

}  // namespace

void add_bench_loss(CLI::App& bench) {
  auto* command = bench.add_subcommand("loss", "A loss, forward and backward, on random unit embeddings in float32");
  const auto flags = std::make_shared<LossFlags>();
  command->add_option("--n", flags->n, "Pairs")->check(CLI::Range(1, 100'000'000))->capture_default_str();
  command->add_option("--dim", flags->dim, "Dimension of the embeddings")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  command->add_option("--loss", flags->loss, "As in train; one that needs no more than pairs")->capture_default_str();
  flags->add(*command);
  command->callback([flags] { run(*flags); });
}

}  // namespace vlalign::tool
