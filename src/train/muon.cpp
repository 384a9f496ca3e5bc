#include <ATen/TensorOperators.h>
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_lerp.h>
#include <ATen/ops/baddbmm.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/linalg_vector_norm.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "train/option_checks.hpp"
#include "train/update_rule.hpp"

namespace vlalign {
namespace {

/// Jordan's factors of the quintic iteration X = a X + (b X X' + c (X X')^2) X: the steepest at 0 that bring singular
/// values to somewhere about 1.
constexpr double quintic_a = 3.4445, quintic_b = -4.7750, quintic_c = 2.0315;
constexpr double least_norm = 1e-7;
constexpr double size_of_adamw = 0.2;  // root mean square of its update, as Liu et al. measured

/// Matrices [n, rows, columns] with their singular values brought to about 1.
at::Tensor orthogonal(const at::Tensor& matrices, int steps) {
  const bool tall = matrices.size(1) > matrices.size(2);
  auto x = tall ? matrices.transpose(1, 2) : matrices;
  const std::array<std::int64_t, 2> both{1, 2};
  x = x / at::linalg_vector_norm(x, 2, both, /*keepdim=*/true).clamp_min(least_norm);
  for (int i = 0; i < steps; ++i) {
    const auto square = at::bmm(x, x.transpose(1, 2));
    x = at::baddbmm(x, at::baddbmm(square, square, square, quintic_b, quintic_c), x, quintic_a);
  }
  return tall ? x.transpose(1, 2) : x;
}

/// The matrices that a parameter is: queries', keys' and values' are one below the other.
at::Tensor matrices_of(const std::string& name, const at::Tensor& parameter) {
  return name.ends_with("in_proj_weight") ? parameter.unflatten(0, {3, -1}) : parameter.unsqueeze(0);
}

class Muon : public UpdateRule {
 public:
  explicit Muon(const MuonOptions& options) : options_(options) { check_options(options); }

  std::vector<std::string> moments() const override { return {"momentum_buffer"}; }
  bool counts() const override { return false; }

  bool takes(std::string_view name, const at::Tensor& parameter) const override {
    const auto has = [&](std::string_view part) { return name.find(part) != name.npos; };
    return parameter.dim() == 2 && name.ends_with("weight") && !has("embedding") && !has("projection") &&
           !name.starts_with("head.");
  }

  void update(const GroupStep& step, const Ranks& ranks) const override {
    const auto& momenta = step.moments[0];
    at::_foreach_lerp_(momenta, step.gradients, 1 - options_.momentum);
    const auto ahead = whole(at::_foreach_lerp(step.gradients, momenta, options_.momentum), step, ranks);
    at::_foreach_add_(step.parameters, step.parameters, -step.learning_rate * options_.weight_decay);
    for (std::size_t i = 0; i < ahead.size(); ++i) {
      const auto update = orthogonal(matrices_of(step.names[i], ahead[i]), options_.newton_schulz);
      const auto side = static_cast<double>(std::max(update.size(1), update.size(2)));
      const auto size = step.learning_rate * size_of_adamw * std::sqrt(side);
      matrices_of(step.names[i], step.wholes[i]).sub_(update, size);
    }
  }

 private:
  /// From the ranks' parts, on each.
  static std::vector<at::Tensor> whole(std::vector<at::Tensor> parts, const GroupStep& step, const Ranks& ranks) {
    if (ranks.alone()) return parts;
    std::vector<at::Tensor> wholes;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      wholes.push_back(at::empty_like(step.wholes[i]));
      step.parts[i].own_of(wholes[i]).copy_(parts[i]);
    }
    share_parts(ranks, wholes);
    return wholes;
  }

  MuonOptions options_;
};

}  // namespace

std::unique_ptr<UpdateRule> make_rule(const MuonOptions& options) { return std::make_unique<Muon>(options); }

}  // namespace vlalign
