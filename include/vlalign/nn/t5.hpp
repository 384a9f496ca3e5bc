#pragma once

#include "vlalign/core/export.hpp"
#include "vlalign/nn/masked_text.hpp"

namespace vlalign::nn {

/// T5's encoder (Raffel et al. 2020; mT5, Xue et al. 2021): pre-norm blocks without biases, root-mean-square norms,
/// unscaled products of queries and keys, to which every block adds the same learned bias by distance.
class VLALIGN_EXPORT T5Encoder : public MaskedText {
 public:
  T5Encoder(const TextConfig& config, Initializer& initializer);
  std::int64_t group_of(std::string_view name) const override;

  at::Tensor token_embedding;  ///< [V, W], registered as token_embedding.weight
  at::Tensor relative_bias;    ///< [buckets, heads], registered as relative_attention_bias.weight
  std::shared_ptr<Norm> ln_final;

 protected:
  at::Tensor embed(const at::Tensor& tokens, at::ScalarType compute) const override;
  at::Tensor mask(const at::Tensor& seen, const at::TensorOptions& options) const override;
  at::Tensor finished(const at::Tensor& y) const override;

 private:
  void draw_weights(Initializer& initializer);
};

/// int64 [length, length]: the bucket of the distance from each query (row) to each key (column). Half of the buckets
/// are for keys behind the query; of each half, the first half are single distances, the others grow evenly in the
/// distance's logarithm up to `distance`, from which on all share the last.
VLALIGN_EXPORT at::Tensor relative_buckets(std::int64_t length, std::int64_t buckets, std::int64_t distance,
                                           at::Device device);

}  // namespace vlalign::nn
