#include "vlalign/train/targets.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "core/check.hpp"

namespace vlalign {
namespace {

Targets groups_of_captions(const PairBatch& batch) {
  const auto tokens = batch.tokens.contiguous();
  const auto length = tokens.size(1);
  const auto* ids = tokens.const_data_ptr<std::int64_t>();
  const auto groups = at::empty({tokens.size(0)}, at::kLong);
  auto* group = groups.mutable_data_ptr<std::int64_t>();
  std::map<std::vector<std::int64_t>, std::int64_t> seen;
  for (std::int64_t row = 0; row < tokens.size(0); ++row) {
    std::vector<std::int64_t> caption(ids + row * length, ids + (row + 1) * length);
    group[row] = seen.try_emplace(std::move(caption), std::ssize(seen)).first->second;
  }
  return {.groups = groups};
}

/// The Jaccard index of each two captions' sets of tokens, [B, B]. What all captions have, such as the start token,
/// tells nothing and is left out, as are the tokens that end them.
at::Tensor jaccard(const at::Tensor& tokens, std::int64_t pad_id, std::int64_t end_id) {
  const auto ids = std::max({tokens.max().item<std::int64_t>(), pad_id, end_id}) + 1;
  auto sets = at::zeros({tokens.size(0), ids}).scatter_(1, tokens, 1.0);
  sets.select(1, pad_id).zero_();
  sets.select(1, end_id).zero_();
  const auto telling = sets * (sets.sum(0) < static_cast<double>(tokens.size(0))).to(at::kFloat);
  const auto common = at::matmul(telling, telling.t()), size = telling.sum(1);
  return common / (size.unsqueeze(0) + size.unsqueeze(1) - common).clamp_min(1.0);
}

}  // namespace

TargetRule equal_captions() { return {"equal captions", groups_of_captions}; }

TargetRule shared_tokens(const Tokenizer& tokenizer, double own) {
  check(own >= 0 && own <= 1, "[shared_tokens] own: expected 0 to 1, got {}", own);
  return {fmt::format("shared tokens, own {}", own),
          [own, pad_id = tokenizer.pad_id(), end_id = tokenizer.end_id()](const PairBatch& batch) {
            auto similar = jaccard(batch.tokens, pad_id, end_id);
            similar.diagonal().fill_(1.0);
            const auto spread = similar / similar.sum(1, /*keepdim=*/true);
            return Targets{.soft = own * at::eye(similar.size(0)) + (1 - own) * spread};
          }};
}

}  // namespace vlalign
