#include "nn/check_inputs.hpp"

#include <ATen/ops/aminmax.h>

#include <string>

#include "core/check.hpp"

namespace vlalign::nn {
namespace {

std::string described(const at::Tensor& tensor) {
  if (!tensor.defined()) return "no tensor";
  return fmt::format("{} [{}]", c10::toString(tensor.scalar_type()), fmt::join(tensor.sizes(), ", "));
}

}  // namespace

void check_pixels(const at::Tensor& pixels, const char* where) {
  const bool fits = pixels.defined() && pixels.dim() == 4 && pixels.size(0) > 0 && pixels.size(1) == 3 &&
                    pixels.size(2) > 0 && pixels.size(3) > 0 && pixels.is_floating_point();
  if (!fits)
    fail("[{}] pixels: expected floating [B, 3, S, S] of at least one picture, got {}", where, described(pixels));
}

void check_tokens(const at::Tensor& tokens, const char* where) {
  const bool fits = tokens.defined() && tokens.dim() == 2 && tokens.scalar_type() == at::kLong;
  if (!fits) fail("[{}] tokens: expected int64 [B, L], got {}", where, described(tokens));
  if (tokens.numel() == 0)
    fail("[{}] tokens: expected at least one text of one token, got {}", where, described(tokens));
}

void check_ids(const at::Tensor& tokens, std::int64_t vocab_size, const char* where) {
  if (!tokens.is_cpu()) return;
  const auto [low, high] = at::aminmax(tokens);
  const auto first = low.item<std::int64_t>(), last = high.item<std::int64_t>();
  check(first >= 0 && last < vocab_size, "[{}] tokens: expected ids from 0 to {}, got {}", where, vocab_size - 1,
        first < 0 ? first : last);
}

}  // namespace vlalign::nn
