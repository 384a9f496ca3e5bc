#include "train/job_batch.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>

#include <initializer_list>
#include <vector>

#include "core/check.hpp"

namespace vlalign {
namespace {

/// In place of the rows of each part that is there, those of all ranks.
void gather_parts(const Ranks& ranks, std::initializer_list<at::Tensor*> all) {
  std::vector<at::Tensor*> there;
  std::vector<at::Tensor> parts;
  for (auto* part : all) {
    if (!part->defined()) continue;
    there.push_back(part);
    parts.push_back(*part);
  }
  const auto gathered = ranks.gather(parts);
  for (std::size_t i = 0; i < there.size(); ++i) *there[i] = gathered[i];
}

/// How many tokens a row has; 0 where there are none.
std::int64_t length_of(const TokenFeatures& tokens) { return tokens.features.defined() ? tokens.features.size(1) : 0; }

void lengthen(TokenFeatures& tokens, std::int64_t length) {
  const auto missing = length - length_of(tokens);
  if (!tokens.features.defined() || missing == 0) return;
  check(tokens.mask.defined(), "[Ranks] token features without a mask: expected as many on all ranks, got {} and {}",
        length_of(tokens), length);
  tokens.features = at::constant_pad_nd(tokens.features, {0, 0, 0, missing});
  tokens.mask = at::constant_pad_nd(tokens.mask, {0, missing}, 0);
}

}  // namespace

ContrastiveBatch gather_batch(const Ranks& ranks, const ContrastiveBatch& rows) {
  if (ranks.alone()) return rows;
  auto batch = rows;
  const auto sizes = ranks.gather(
      at::tensor({batch.image.size(0), length_of(batch.image_tokens), length_of(batch.text_tokens)}).unsqueeze(0));
  const auto of_rank = sizes.select(1, 0);
  const auto all = of_rank.sum().item<std::int64_t>(), own = batch.image.size(0);
  check(all > 0, "[Trainer] none of the batch's records could be read");
  const auto before = of_rank.narrow(0, 0, ranks.rank()).sum().item<std::int64_t>();
  const auto longest = sizes.amax(0);
  lengthen(batch.image_tokens, longest[1].item<std::int64_t>());
  lengthen(batch.text_tokens, longest[2].item<std::int64_t>());

  gather_parts(ranks, {&batch.image, &batch.text, &batch.second_image, &batch.frames, &batch.image_tokens.features,
                       &batch.text_tokens.features});
  const at::NoGradGuard no_graph;
  gather_parts(ranks, {&batch.teacher_image, &batch.teacher_text, &batch.image_tokens.mask, &batch.text_tokens.mask});
  if (own > 0) batch.own = tiles::RowRange{before, own};
  return batch;
}

PairBatch gather_captions(const Ranks& ranks, const PairBatch& batch, std::int64_t pad_id) {
  if (ranks.alone()) return batch;
  auto all = batch;
  const auto own = batch.tokens.defined() ? batch.tokens.size(1) : 0;
  const auto longest = ranks.gather(at::tensor({own})).max().item<std::int64_t>();
  const auto tokens = batch.tokens.defined() ? batch.tokens : at::empty({0, 0}, at::kLong);
  all.tokens = ranks.gather(at::constant_pad_nd(tokens, {0, longest - own}, pad_id));
  const auto records = ranks.gather(at::tensor(batch.records, at::kLong));
  all.records.assign(records.const_data_ptr<std::int64_t>(), records.const_data_ptr<std::int64_t>() + records.numel());
  return all;
}

double share_of_own_rows(const Ranks& ranks, const ContrastiveBatch& batch) {
  if (ranks.alone()) return 1;
  const auto own = batch.own ? batch.own->count : 0;
  return static_cast<double>(ranks.size() * own) / static_cast<double>(batch.image.size(0));
}

}  // namespace vlalign
