#pragma once

#include "vlalign/core/export.hpp"
#include "vlalign/nn/tower.hpp"
#include "vlalign/nn/transformer.hpp"

namespace vlalign::nn {

/// A text tower whose tokens see each other but for padding, and whose feature is that of the first place, or the mean
/// or the maximum of those that aren't padding: BERT's, T5's and NLLB's encoders.
class VLALIGN_EXPORT MaskedText : public Tower {
 public:
  at::Tensor forward(const at::Tensor& tokens, at::ScalarType compute) override;
  Features features(const at::Tensor& tokens, at::ScalarType compute, std::span<const std::int64_t> layers) override;
  std::int64_t width() const override { return config_.width; }
  std::int64_t group_count() const override { return config_.layers + 1; }
  std::int64_t group_of(std::string_view name) const override;

  std::shared_ptr<Transformer> transformer;

 protected:
  /// name: what errors call the tower.
  MaskedText(const TextConfig& config, const char* name) : config_(config), name_(name) {}

  /// A table of `rows` vectors of the tower's width, registered with `owner` as NAME.weight.
  at::Tensor add_table(torch::nn::Module& owner, const char* name, std::int64_t rows, double deviation,
                       Initializer& initializer) const;
  void add_transformer(TransformerOptions options, Initializer& initializer);

  /// What enters the first block: [B, L] to [B, L, W] in `compute`.
  virtual at::Tensor embed(const at::Tensor& tokens, at::ScalarType compute) const = 0;
  /// What attention adds to its scores, for Transformer::forward. seen: bool [B, L], false at padding.
  virtual at::Tensor mask(const at::Tensor& seen, const at::TensorOptions& options) const;
  /// Behind the last block, of all places or of one a text.
  virtual at::Tensor finished(const at::Tensor& y) const { return y; }
  /// The tower's feature of the first place, [B, W].
  virtual at::Tensor from_first(const at::Tensor& first) const { return first; }

  TextConfig config_;

 private:
  at::Tensor checked_embeddings(const at::Tensor& tokens, at::ScalarType compute) const;
  at::Tensor pooled(const at::Tensor& y, const at::Tensor& seen) const;

  const char* name_;
};

/// int64 [B, L]: the number of each token that isn't padding, from 1; 0 at padding.
VLALIGN_EXPORT at::Tensor places_from_padding(const at::Tensor& tokens, std::int64_t pad_id);

}  // namespace vlalign::nn
