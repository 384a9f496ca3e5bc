// How large the parameters of each group are, their gradients, and what a step changes in them. Internal.
#pragma once

#include <torch/nn/module.h>

#include <string>
#include <utility>
#include <vector>

#include "train/freezing.hpp"
#include "train/histogram.hpp"

namespace vlalign {

/// L2 norms over a group's parameters that train.
struct GroupNorm {
  std::string group;
  double parameter = 0;  ///< before the step
  double gradient = 0;   ///< before it is clipped; a parameter without one counts as zeros
  double update = 0;     ///< parameter after the step minus before
};

/// Groups are those that `vlalign inspect --parameters` counts, by name: "image.stem", "image.block.1" and on,
/// "image.projection", "image.tower" where a tower is one group; what is in no tower under its own name, such as
/// "logit_scale", or that of the policy's part it belongs to, such as "head".
class GroupNorms {
 public:
  /// Of the parameters that require a gradient now. The module must outlive this.
  GroupNorms(const torch::nn::Module& module, const Towers& towers);

  /// Behind the backward pass and before the gradients are clipped: measures, and keeps a copy of the parameters until
  /// after() is called.
  void before();
  /// Behind the optimizer's step. In the module's order.
  std::vector<GroupNorm> after();

  /// Of the numbers that before() has seen, "parameter/GROUP" and "gradient/GROUP". Of at most twenty groups, evenly
  /// spaced.
  const std::vector<std::pair<std::string, Histogram>>& histograms() const { return histograms_; }

 private:
  struct Group {
    std::string name;
    std::vector<at::Tensor> parameters;
  };
  std::vector<at::Tensor> parameters() const;
  std::vector<double> norms_of(const std::vector<at::Tensor>& of_parameters) const;

  std::vector<Group> groups_;
  std::vector<GroupNorm> norms_;
  std::vector<at::Tensor> copies_;
  std::vector<std::pair<std::string, Histogram>> histograms_;
};

}  // namespace vlalign
