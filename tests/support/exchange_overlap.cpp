// How much of the gradients' exchange is hidden under the backward pass: of tests/tools/exchange_overlap.sh, which
// starts it once for each rank. Rank 0 prints medians as a line of JSON.
#include <ATen/TensorOperators.h>
#include <ATen/ops/randint.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <vector>

#include "train/gradient_exchange.hpp"
#include "vlalign/model/dual_encoder.hpp"
#include "vlalign/model/presets.hpp"
#include "vlalign/nn/dual_encoder.hpp"
#include "vlalign/tokenizers/tokenizer.hpp"

namespace {

using vlalign::DualEncoder;

double seconds(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

struct Times {
  std::vector<double> backward, behind;  ///< the pass; and what of the exchange comes after it
};

}  // namespace

int main(int count, char** words) {
  if (count != 4) {
    fmt::print(stderr, "expected the vocabulary's file, rows a rank and rounds\n");
    return 2;
  }
  const std::int64_t rows = std::atoi(words[2]);
  const int rounds = std::atoi(words[3]);
  const auto ranks = vlalign::Ranks::from_environment();
  const auto config = vlalign::preset("ViT-B-32");
  const auto model = DualEncoder::create(config, vlalign::load_tokenizer(words[1]), 1);
  auto& module = *model.module();
  module.train();
  vlalign::GradientExchange exchange(ranks, vlalign::trained_parameters(module));
  const auto pixels =
      at::randint(0, 256, {rows, 3, config.preprocess.image_size, config.preprocess.image_size}, at::kByte);
  const auto tokens = at::randint(1, 49'000, {rows, config.text.context_length}, at::kLong);
  Times beside, after;
  for (int round = 0; round < 2 * rounds + 2; ++round) {
    const bool overlaps = round % 2 == 0;
    for (auto& parameter : module.parameters()) parameter.mutable_grad().reset();
    const auto image = model.encode_image(pixels);
    const auto loss = (image * model.encode_text(tokens)).sum() * model.logit_scale();
    ranks.barrier();
    if (overlaps) exchange.arm();
    const auto backward = seconds([&] { loss.backward(); });
    const auto behind = seconds([&] {
      if (!overlaps) exchange.arm();
      exchange.finish();
    });
    if (round < 2) continue;  // the first of each kind makes room
    (overlaps ? beside : after).backward.push_back(backward);
    (overlaps ? beside : after).behind.push_back(behind);
  }
  const auto longer = median(beside.backward) - median(after.backward);
  const auto whole = median(after.behind), left = median(beside.behind);
  if (ranks.rank() == 0)
    fmt::print(
        "{{\"ranks\": {}, \"backward_s\": {:.3f}, \"exchange_alone_s\": {:.3f}, \"exchange_behind_s\": {:.3f}, "
        "\"backward_longer_s\": {:.3f}, \"hidden\": {:.3f}}}\n",
        ranks.size(), median(after.backward), whole, left, longer, 1 - left / whole);
}
