#pragma once

#include <torch/nn/module.h>

#include <string>
#include <vector>

#include "vlalign/core/io/safetensors.hpp"

namespace vlalign {

/// Exponential moving average of all that training moves in a module, its trainable parameters and floating buffers:
/// average = decay * average + (1 - decay) * value, from the values it begins with. Buffers that aren't finite then,
/// such as a mask of minus infinities, have none.
class WeightAverage {
 public:
  WeightAverage(const torch::nn::Module& module, double decay);

  void update();
  /// The averages, "ema.NAME": views, so that copying into them restores.
  NamedTensors state() const;

 private:
  friend class AveragesInPlace;
  void swap();

  double decay_;
  std::vector<std::string> names_;
  std::vector<at::Tensor> values_, averages_;
};

/// The module holds the averages as long as this lives.
class AveragesInPlace {
 public:
  explicit AveragesInPlace(WeightAverage& average) : average_(average) { average_.swap(); }
  AveragesInPlace(const AveragesInPlace&) = delete;
  AveragesInPlace& operator=(const AveragesInPlace&) = delete;
  ~AveragesInPlace() { average_.swap(); }

 private:
  WeightAverage& average_;
};

}  // namespace vlalign
