// What a product's inputs are like. Internal.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <vector>

#include "nn/int8_product.hpp"

namespace vlalign {

/// Of the columns of one product's input.
struct InputStatistics {
  at::Tensor least, largest;  ///< float32 [K]; undefined where no sequence has come
  at::Tensor rows;            ///< float32 [R, K], some of them
};

/// Gathers them while it lives, from this thread's products of sequences.
class InputObserver final : public nn::ProductObserver {
 public:
  explicit InputObserver(const std::vector<nn::NamedProduct>& products);
  void see(const nn::KeptProduct& product, const at::Tensor& x) override;

  /// In the order of the products.
  std::vector<InputStatistics> statistics() const;

 private:
  struct Seen {
    at::Tensor least, largest;
    std::vector<at::Tensor> rows;
  };
  std::map<const nn::KeptProduct*, std::size_t> product_of_;
  std::vector<Seen> seen_;
};

}  // namespace vlalign
