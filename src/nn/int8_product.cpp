#include "nn/int8_product.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "core/check.hpp"
#include "core/finite.hpp"
#include "core/precision.hpp"
#include "core/traced.hpp"
#include "kernels/bf16_panels.hpp"
#include "vlalign/nn/attention.hpp"
#include "vlalign/nn/layers.hpp"

namespace vlalign::nn {
namespace {

thread_local bool int8_mode = false;
thread_local ProductObserver* observer = nullptr;

Int8Columns checked_columns(const at::Tensor& scale, const at::Tensor& centre, const NamedProduct& product,
                            std::string_view where) {
  const auto width = product.weight.size(1);
  for (const auto& tensor : {scale, centre}) {
    const bool fits = tensor.is_cpu() && tensor.scalar_type() == at::kFloat && tensor.dim() == 1;
    check(fits && tensor.numel() == width, "{} {}: expected float32 [{}] on a CPU, got {} [{}]", where, product.name,
          width, c10::toString(tensor.scalar_type()), fmt::join(tensor.sizes(), ", "));
    check(all_finite(tensor), "{} {}: expected finite numbers", where, product.name);
  }
  check(scale.min().item<float>() > 0, "{} {}.scale: expected numbers above 0", where, product.name);
  return {.scale = scale.clone(), .centre = centre.clone()};
}

/// The first name of a column that is no product's.
std::string unknown_column(const NamedTensors& columns, const std::vector<NamedProduct>& products) {
  const auto known = [&](const std::string& name) {
    return std::any_of(products.begin(), products.end(), [&](const NamedProduct& product) {
      return name == product.name + ".scale" || name == product.name + ".centre";
    });
  };
  return std::find_if(columns.begin(), columns.end(), [&](const auto& column) { return !known(column.first); })->first;
}

}  // namespace

at::Tensor Int8Product::operator()(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) const {
  if (is_traced()) return int8_product_in_floats(x, weight, bias, columns_);
  return int8_product(x, kept(weight), bias, columns_);
}

Int8Weight Int8Product::kept(const at::Tensor& weight) const {
  const std::lock_guard lock(mutex_);
  if (memory_ != weight.const_data_ptr() || version_ != weight._version()) {
    kept_ = to_int8(weight.detach(), columns_);
    memory_ = weight.const_data_ptr();
    version_ = weight._version();
  }
  return kept_;
}

Int8Mode::Int8Mode(Precision precision) : before_(std::exchange(int8_mode, precision == Precision::int8)) {
  if (int8_mode && !is_traced()) no_graph_.emplace();
}
Int8Mode::~Int8Mode() { int8_mode = before_; }
bool in_int8_mode() { return int8_mode; }

ProductObserver::ProductObserver() : before_(std::exchange(observer, this)) {}
ProductObserver::~ProductObserver() { observer = before_; }
ProductObserver* product_observer() { return observer; }

std::vector<NamedProduct> int8_candidates(const torch::nn::Module& module) {
  std::vector<NamedProduct> products;
  std::set<const torch::nn::Module*> seen;
  const auto add = [&](const std::string& name, const at::Tensor& weight, std::span<KeptProduct> ways) {
    if (weight.defined() && fits_int8(weight)) products.push_back({name, weight, ways});
  };
  for (const auto& item : module.named_modules()) {
    if (!seen.insert(item.value().get()).second) continue;
    if (const auto linear = std::dynamic_pointer_cast<Linear>(item.value()))
      add(item.key(), linear->weight, linear->products());
    if (const auto attention = std::dynamic_pointer_cast<Attention>(item.value()))
      add(item.key() + ".in_proj", attention->in_proj_weight, attention->products());
  }
  return products;
}

void set_int8_products(const torch::nn::Module& module, const NamedTensors& columns, std::string_view where) {
  const auto products = int8_candidates(module);
  std::vector<std::optional<Int8Columns>> own;
  std::size_t used = 0;
  for (const auto& product : products) {
    const auto scale = columns.find(product.name + ".scale"), centre = columns.find(product.name + ".centre");
    const bool has = scale != columns.end();
    check(has == (centre != columns.end()), "{} {}: expected both scale and centre", where, product.name);
    own.push_back(has ? std::optional(checked_columns(scale->second, centre->second, product, where)) : std::nullopt);
    used += has ? 2 : 0;
  }
  if (used != columns.size()) fail("{} {}: the model has no such product", where, unknown_column(columns, products));
  for (std::size_t i = 0; i < products.size(); ++i)
    for (auto& way : products[i].ways) way.int8 = own[i] ? std::make_shared<Int8Product>(*own[i]) : nullptr;
}

at::ScalarType compute_dtype(Precision precision) {
  if (precision != Precision::int8) return dtype_of(precision);
  return has_bf16_products() ? at::kBFloat16 : at::kFloat;
}

}  // namespace vlalign::nn
