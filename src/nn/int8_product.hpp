// Which of a module's products int8 inference computes in bytes, and when. Internal.
#pragma once

#include <ATen/core/grad_mode.h>
#include <torch/nn/module.h>

#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/int8_product.hpp"
#include "vlalign/core/device.hpp"
#include "vlalign/core/io/safetensors.hpp"

namespace vlalign::nn {

class KeptProduct;

/// A layer's product in int8: its columns, and its weight laid out for them, made once and kept until the parameter
/// changes. Safe to call from several threads.
class Int8Product {
 public:
  explicit Int8Product(Int8Columns columns) : columns_(std::move(columns)) {}

  /// x W^T + b; in floats that stand for bytes while the tracer looks on, for graphs that other engines run in int8.
  ///   weight: a parameter or a part of one; bias: undefined where there is none
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) const;

  const Int8Columns& columns() const { return columns_; }

 private:
  Int8Weight kept(const at::Tensor& weight) const;

  Int8Columns columns_;
  mutable std::mutex mutex_;
  mutable Int8Weight kept_;
  mutable const void* memory_ = nullptr;  // of the parameter it was made from, and its version
  mutable std::int64_t version_ = 0;
};

/// While it lives, and where the precision is int8, this thread's products that have columns are computed in bytes, and
/// without gradients but for what the tracer sees.
class Int8Mode {
 public:
  explicit Int8Mode(Precision precision);
  ~Int8Mode();
  Int8Mode(const Int8Mode&) = delete;
  Int8Mode& operator=(const Int8Mode&) = delete;

 private:
  bool before_;
  std::optional<at::NoGradGuard> no_graph_;
};
bool in_int8_mode();

/// Sees the input of each of this thread's products while it lives.
class ProductObserver {
 public:
  ProductObserver();
  virtual ~ProductObserver();
  ProductObserver(const ProductObserver&) = delete;
  ProductObserver& operator=(const ProductObserver&) = delete;

  virtual void see(const KeptProduct& product, const at::Tensor& x) = 0;

 private:
  ProductObserver* before_;
};
ProductObserver* product_observer();

/// A weight that rows are multiplied with, and the ways in which its layer does it: whole or in parts.
struct NamedProduct {
  std::string name;
  at::Tensor weight;  ///< [N, K]
  std::span<KeptProduct> ways;
};

/// A module's products that int8 could compute, each once, in the order of its layers.
std::vector<NamedProduct> int8_candidates(const torch::nn::Module& module);

/// Gives products their columns, and takes those of the others: "NAME.scale" and "NAME.centre" for each. Throws Error
/// as DualEncoder::set_int8_columns() says, and then changes nothing.
///   where: for messages
void set_int8_products(const torch::nn::Module& module, const NamedTensors& columns, std::string_view where);

/// What towers compute in where a call asks for this precision: with int8, bfloat16 between its products where the
/// processor multiplies that, else float32.
at::ScalarType compute_dtype(Precision precision);

}  // namespace vlalign::nn
