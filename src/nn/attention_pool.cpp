#include "vlalign/nn/attention_pool.hpp"

#include <ATen/TensorOperators.h>

#include <cmath>

namespace vlalign::nn {

AttentionHead::AttentionHead(const TransformerOptions& options, Initializer& initializer) {
  const auto bound = std::sqrt(6.0 / static_cast<double>(1 + options.width));
  probe = register_parameter("probe", initializer.uniform({options.width}, bound));
  attention = register_module(
      "attention", std::make_shared<Attention>(options.width, options.heads,
                                               Attention::Options{.norm_eps = options.norm_eps, .block = options.block},
                                               initializer));
  layernorm = register_module("layernorm", make_norm(options.block.norm, options.width, options.norm_eps));
  mlp = register_module("mlp", std::make_shared<Mlp>(options, initializer));
}

Tensor AttentionHead::forward(const Tensor& x, const Tensor& mask) const {
  const auto query = probe.to(x.scalar_type()).expand({x.size(0), 1, -1});
  const auto pooled = attention->forward(x, query, mask);
  return (pooled + mlp->forward(layernorm->forward(pooled))).squeeze(1);
}

QueryPooler::QueryPooler(std::int64_t queries, std::int64_t width, std::int64_t key_width, std::int64_t heads,
                         double norm_eps, Initializer& initializer) {
  query = register_parameter("query", initializer.normal({queries, width}, 1.0));
  const Attention::Options options{.key_width = key_width};
  attn = register_module("attn", std::make_shared<Attention>(width, heads, options, initializer));
  ln_q = register_module("ln_q", std::make_shared<LayerNorm>(width, norm_eps));
  ln_k = register_module("ln_k", std::make_shared<LayerNorm>(key_width, norm_eps));
}

Tensor QueryPooler::forward(const Tensor& x) const {
  const auto queries = ln_q->forward(query.to(x.scalar_type())).expand({x.size(0), -1, -1});
  return attn->forward(ln_k->forward(x), queries, {});
}

}  // namespace vlalign::nn
