#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "vlalign/config/lora_options.hpp"
#include "vlalign/core/export.hpp"
#include "vlalign/nn/layers.hpp"

namespace vlalign::nn {

/// The adapter of one weight [out, in], registered as "lora" of its layer. A fused weight has several blocks of rows,
/// each with an A and a B of its own.
class VLALIGN_EXPORT Lora : public torch::nn::Module {
 public:
  Lora(const Tensor& weight, std::int64_t blocks, const LoraOptions& options, Initializer& initializer);

  /// y + (alpha / rank) B A x; y itself while merged. The two thin products cost less than W's gradient would.
  ///   x: [..., in]; y: [..., rows], of `count` blocks from `first`, or of all
  Tensor add_to(const Tensor& y, const Tensor& x, std::int64_t first = 0, std::optional<std::int64_t> count = {}) const;

  /// W + (alpha / rank) B A, [out, in], detached.
  Tensor merged_weight() const;

  void merge();
  void unmerge();  ///< to the same bits
  bool is_merged() const { return original_.defined(); }

  const LoraOptions options;
  Tensor a;  ///< [blocks * rank, in]
  Tensor b;  ///< [out, rank]

 private:
  Tensor scaled_b(std::int64_t first, std::int64_t count) const;

  std::int64_t blocks_;
  Tensor weight_, original_;
};

/// vlalign::add_lora() for modules of one's own: adapts every Attention (its fused projection and its output
/// projection) and every Mlp below, and freezes the rest.
VLALIGN_EXPORT void add_lora(torch::nn::Module& module, const LoraOptions& options, Initializer& initializer);

/// Takes all adapters below off, without merging them; what is frozen stays so.
VLALIGN_EXPORT void remove_lora(torch::nn::Module& module);

/// All adapters below a module, by the names of the weights they adapt.
VLALIGN_EXPORT std::map<std::string, std::shared_ptr<Lora>> adapters(const torch::nn::Module& module);

/// Their A and B by name ("....lora.a"), detached; writing through them reaches the parameters.
VLALIGN_EXPORT std::map<std::string, Tensor> adapter_tensors(const torch::nn::Module& module);

}  // namespace vlalign::nn
