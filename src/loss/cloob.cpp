#include "vlalign/loss/cloob.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/scaled_dot_product_attention.h>

#include "core/check.hpp"
#include "loss/checked_batch.hpp"
#include "loss/checked_options.hpp"
#include "vlalign/core/normalize.hpp"
#include "vlalign/loss/tiled.hpp"

namespace vlalign {
namespace {

/// norm(softmax(beta q k^T) k): one step of a Hopfield network is attention whose values are its keys.
at::Tensor retrieved(const at::Tensor& queries, const at::Tensor& stored, double beta) {
  const auto q = queries.unsqueeze(0).unsqueeze(0), k = stored.unsqueeze(0).unsqueeze(0);
  const auto mean = at::scaled_dot_product_attention(q, k, k, /*attn_mask=*/{}, /*dropout_p=*/0.0, /*is_causal=*/false,
                                                     /*scale=*/beta);
  return l2_normalize(mean.squeeze(0).squeeze(0));
}

/// scale * LOOB(a, b) of the own rows of a.
at::Tensor leave_one_out(const at::Tensor& a, const at::Tensor& b, const at::Tensor& scale, tiles::RowRange own,
                         const tiles::PairFilter& others) {
  const tiles::PairFilter own_others{
      .keep = others.keep, .row_ids = narrowed(others.row_ids, own), .column_ids = others.column_ids};
  const auto negatives = tiles::log_sum_exp(a, b, scale, own_others).rows;
  return negatives.mean() - scale * (a * narrowed(b, own)).sum(1).mean();
}

}  // namespace

CLOOB::CLOOB(const Options& options) : options_(options) { check_positive(options.beta, "CLOOB", "beta"); }

std::string CLOOB::options() const { return fmt::format("beta={} retrieval={}", options_.beta, options_.retrieval); }

at::Tensor CLOOB::forward(const ContrastiveBatch& batch) const {
  const auto pairs = checked_pairs(batch, "CLOOB", 2);
  const auto scale = checked_scale(batch, "CLOOB", pairs.image);
  const auto others = except_own_pair(pairs);
  const auto& [image, text, own] = pairs;
  const auto own_image = narrowed(image, own), own_text = narrowed(text, own);
  const auto retrieve = [&](const at::Tensor& queries, const at::Tensor& stored) {
    return options_.retrieval ? retrieved(queries, stored, options_.beta) : queries;
  };
  const auto in_images = leave_one_out(retrieve(own_image, image), retrieve(text, image), scale, own, others);
  const auto in_texts = leave_one_out(retrieve(own_text, text), retrieve(image, text), scale, own, others);
  return (in_images + in_texts) / scale;
}

}  // namespace vlalign
