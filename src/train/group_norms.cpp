#include "train/group_norms.hpp"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_foreach_sub.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>
#include <string_view>

#include "train/evenly_spaced.hpp"

namespace vlalign {
namespace {

constexpr std::int64_t most_histograms = 20;  ///< of each kind

std::string group_of(const Towers& towers, const std::string& name) {
  const auto place = towers.place_of(name);
  if (!place) {
    const bool in_encoder = name.starts_with(towers.prefix);
    const auto own = in_encoder ? name.substr(towers.prefix.size()) : name;
    return own.substr(0, own.find('.'));
  }
  const bool is_image = place->side == nn::DualEncoderImpl::Place::Side::image;
  const auto& projection = is_image ? towers.module.image_projection : towers.module.text_projection;
  const std::string side = is_image ? "image." : "text.";
  if (projection && place->group == place->groups - 1) return side + "projection";
  if (place->groups - (projection ? 1 : 0) == 1) return side + "tower";
  return place->group == 0 ? side + "stem" : side + "block." + std::to_string(place->group);
}

/// Dense, each row of a sparse one added up.
at::Tensor gradient_of(const at::Tensor& parameter) {
  const auto& gradient = parameter.grad();
  if (!gradient.defined()) return at::zeros_like(parameter);
  return gradient.is_sparse() ? gradient.to_dense() : gradient;
}

std::vector<at::Tensor> gradients_of(const std::vector<at::Tensor>& parameters) {
  std::vector<at::Tensor> all;
  for (const auto& parameter : parameters) all.push_back(gradient_of(parameter));
  return all;
}

}  // namespace

GroupNorms::GroupNorms(const torch::nn::Module& module, const Towers& towers) {
  for (const auto& item : module.named_parameters()) {
    if (!item.value().requires_grad()) continue;
    const auto name = group_of(towers, item.key());
    auto found = std::find_if(groups_.begin(), groups_.end(), [&](const auto& group) { return group.name == name; });
    if (found == groups_.end()) found = groups_.insert(found, {.name = name, .parameters = {}});
    found->parameters.push_back(item.value());
  }
}

std::vector<at::Tensor> GroupNorms::parameters() const {
  std::vector<at::Tensor> all;
  for (const auto& group : groups_) all.insert(all.end(), group.parameters.begin(), group.parameters.end());
  return all;
}

/// A group's each, with one wait for the device.
///   of_parameters: a tensor for each of parameters()
std::vector<double> GroupNorms::norms_of(const std::vector<at::Tensor>& of_parameters) const {
  const auto norms = at::stack(at::_foreach_norm(of_parameters, /*ord=*/2, at::kDouble)).cpu();
  const auto* next = norms.const_data_ptr<double>();
  std::vector<double> all;
  for (const auto& group : groups_) {
    double squares = 0;
    for (std::size_t i = 0; i < group.parameters.size(); ++i, ++next) squares += *next * *next;
    all.push_back(std::sqrt(squares));
  }
  return all;
}

void GroupNorms::before() {
  const at::NoGradGuard no_graph;
  const auto all = parameters();
  const auto of_parameters = norms_of(all), of_gradients = norms_of(gradients_of(all));
  norms_.clear();
  for (std::size_t i = 0; i < groups_.size(); ++i)
    norms_.push_back({.group = groups_[i].name, .parameter = of_parameters[i], .gradient = of_gradients[i]});
  histograms_.clear();
  for (const auto i : evenly_spaced(std::ssize(groups_), most_histograms)) {
    const auto& group = groups_[static_cast<std::size_t>(i)];
    histograms_.emplace_back("parameter/" + group.name, histogram_of(group.parameters));
    histograms_.emplace_back("gradient/" + group.name, histogram_of(gradients_of(group.parameters)));
  }
  copies_.clear();
  for (const auto& parameter : all) copies_.push_back(parameter.detach().clone());
}

std::vector<GroupNorm> GroupNorms::after() {
  const at::NoGradGuard no_graph;
  const auto updates = norms_of(at::_foreach_sub(parameters(), copies_));
  copies_.clear();
  for (std::size_t i = 0; i < norms_.size(); ++i) norms_[i].update = updates[i];
  return norms_;
}

}  // namespace vlalign
