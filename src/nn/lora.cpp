#include "vlalign/nn/lora.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/block_diag.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>

#include "core/check.hpp"
#include "core/glob.hpp"
#include "kernels/product.hpp"
#include "vlalign/nn/transformer.hpp"

namespace vlalign::nn {
namespace {

/// A weight that can have an adapter.
struct Site {
  std::shared_ptr<torch::nn::Module> owner;
  std::shared_ptr<Lora>* slot;
  Tensor weight;
  std::int64_t blocks;
};

void add_linear(std::vector<Site>& sites, const std::shared_ptr<Linear>& linear) {
  sites.push_back({linear, &linear->lora, linear->weight, 1});
}

void add_sites(std::vector<Site>& sites, const std::shared_ptr<torch::nn::Module>& module, const LoraOptions& options) {
  if (const auto attention = std::dynamic_pointer_cast<Attention>(module); attention && options.attention) {
    if (attention->in_proj_weight.defined())
      sites.push_back({attention, &attention->lora, attention->in_proj_weight, 3});
    add_linear(sites, attention->out_proj);
  }
  if (const auto mlp = std::dynamic_pointer_cast<Mlp>(module); mlp && options.mlp) {
    add_linear(sites, mlp->c_fc);
    add_linear(sites, mlp->c_proj);
  }
}

std::vector<Site> chosen_sites(const torch::nn::Module& module, const LoraOptions& options) {
  std::vector<Site> sites;
  std::vector<bool> used(options.modules.size(), false);
  for (const auto& item : module.named_modules(/*name_prefix=*/{}, /*include_self=*/false)) {
    std::vector<Site> of_module;
    add_sites(of_module, item.value(), options);
    bool chosen = false;
    for (std::size_t i = 0; !of_module.empty() && i < used.size(); ++i) {
      if (!fits(item.key(), options.modules[i])) continue;
      used[i] = chosen = true;
    }
    if (chosen) sites.insert(sites.end(), of_module.begin(), of_module.end());
  }
  for (std::size_t i = 0; i < used.size(); ++i) {
    check(used[i], "[add_lora] modules: \"{}\" fits no {} module of a Transformer", options.modules[i],
          options.attention && options.mlp ? "attention or MLP"
          : options.attention              ? "attention"
                                           : "MLP");
  }
  check(!sites.empty(), "[add_lora] modules: no pattern is given");
  return sites;
}

void check_options(const LoraOptions& options) {
  check(options.rank > 0, "[add_lora] rank: expected 1 or more, got {}", options.rank);
  check(std::isfinite(options.alpha) && options.alpha > 0, "[add_lora] alpha: expected more than 0, got {}",
        options.alpha);
  check(options.attention || options.mlp, "[add_lora] neither attention nor mlp is chosen");
}

/// B A of a higher rank than the weight's own would only cost memory.
void check_rank(const std::vector<Site>& sites, std::int64_t rank) {
  for (const auto& site : sites) {
    const auto rows = site.weight.size(0) / site.blocks, columns = site.weight.size(1);
    check(rank <= std::min(rows, columns), "[add_lora] rank: expected 1 to {}, got {}: a chosen weight is [{}, {}]",
          std::min(rows, columns), rank, rows, columns);
  }
}

/// The module's parameters that `train` doesn't name.
std::vector<Tensor> frozen_parameters(const torch::nn::Module& module, const std::vector<std::string>& train) {
  std::vector<Tensor> frozen;
  std::vector<bool> used(train.size(), false);
  for (const auto& item : module.named_parameters()) {
    bool trained = false;
    for (std::size_t i = 0; i < train.size(); ++i) {
      if (fits(item.key(), train[i])) used[i] = trained = true;
    }
    if (!trained) frozen.push_back(item.value());
  }
  for (std::size_t i = 0; i < train.size(); ++i) check(used[i], "[add_lora] train: no parameter fits \"{}\"", train[i]);
  return frozen;
}

}  // namespace

Lora::Lora(const Tensor& weight, std::int64_t blocks, const LoraOptions& how, Initializer& initializer)
    : options(how), blocks_(blocks), weight_(weight) {
  const auto in = weight.size(1);
  const auto drawn = initializer.uniform({blocks * how.rank, in}, 1.0 / std::sqrt(static_cast<double>(in)));
  const auto dtype = weight.options().requires_grad(false);
  a = register_parameter("a", drawn.to(dtype));
  b = register_parameter("b", at::zeros({weight.size(0), how.rank}, dtype));
}

/// (alpha / rank) B of `count` blocks as the diagonal of a matrix [rows, count * rank], which meets A's rows of all of
/// them at once.
Tensor Lora::scaled_b(std::int64_t first, std::int64_t count) const {
  const auto rows = b.size(0) / blocks_;
  const auto part = b.narrow(0, first * rows, count * rows) * (options.alpha / static_cast<double>(options.rank));
  return count == 1 ? part : at::block_diag(part.chunk(count));
}

Tensor Lora::add_to(const Tensor& y, const Tensor& x, std::int64_t first, std::optional<std::int64_t> count) const {
  if (is_merged()) return y;
  const auto dtype = x.scalar_type();
  const auto n = count.value_or(blocks_);
  const auto thin = product(x, a.narrow(0, first * options.rank, n * options.rank).to(dtype));
  return y + product(thin, scaled_b(first, n).to(dtype));
}

Tensor Lora::merged_weight() const {
  at::NoGradGuard no_grad;
  return is_merged() ? weight_.detach() : weight_ + at::matmul(scaled_b(0, blocks_), a);
}

void Lora::merge() {
  if (is_merged()) return;
  at::NoGradGuard no_grad;
  const auto merged = merged_weight();
  original_ = weight_.clone();
  weight_.copy_(merged);
}

void Lora::unmerge() {
  if (!is_merged()) return;
  at::NoGradGuard no_grad;
  weight_.copy_(original_);
  original_.reset();
}

void add_lora(torch::nn::Module& module, const LoraOptions& options, Initializer& initializer) {
  check_options(options);
  check(adapters(module).empty(), "[add_lora] the model has an adapter already; merge it, write the model and read it");
  const auto sites = chosen_sites(module, options);
  check_rank(sites, options.rank);
  for (const auto& parameter : frozen_parameters(module, options.train)) parameter.set_requires_grad(false);
  for (const auto& site : sites) {
    *site.slot =
        site.owner->register_module("lora", std::make_shared<Lora>(site.weight, site.blocks, options, initializer));
  }
}

void remove_lora(torch::nn::Module& module) {
  std::vector<Site> sites;
  for (const auto& part : module.modules(/*include_self=*/false)) add_sites(sites, part, {});
  for (const auto& site : sites) {
    if (!*site.slot) continue;
    site.owner->unregister_module("lora");
    site.slot->reset();
  }
}

std::map<std::string, std::shared_ptr<Lora>> adapters(const torch::nn::Module& module) {
  std::map<std::string, std::shared_ptr<Lora>> all;
  for (const auto& item : module.named_modules(/*name_prefix=*/{}, /*include_self=*/false)) {
    const auto* linear = dynamic_cast<const Linear*>(item.value().get());
    const auto* attention = dynamic_cast<const Attention*>(item.value().get());
    if (linear && linear->lora) all.emplace(item.key() + ".weight", linear->lora);
    if (attention && attention->lora) all.emplace(item.key() + ".in_proj_weight", attention->lora);
  }
  return all;
}

std::map<std::string, Tensor> adapter_tensors(const torch::nn::Module& module) {
  std::map<std::string, Tensor> all;
  for (const auto& [name, lora] : adapters(module)) {
    const auto owner = name.substr(0, name.rfind('.'));
    all.emplace(owner + ".lora.a", lora->a.detach());
    all.emplace(owner + ".lora.b", lora->b.detach());
  }
  return all;
}

}  // namespace vlalign::nn
