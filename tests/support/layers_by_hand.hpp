// The layers of include/vlalign/nn worked for one token at a time, in double and without ATen's arithmetic: what
// fusions and heads are compared with.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "vlalign/nn/feed_forward.hpp"
#include "vlalign/nn/transformer.hpp"

namespace vlalign::test {

using Vector = std::vector<double>;
using Vectors = std::vector<Vector>;

/// Every parameter from N(0, deviation^2), so that nothing hides behind a zero.
inline void randomize(torch::nn::Module& module, double deviation = 0.3) {
  const at::NoGradGuard no_graph;
  for (auto& parameter : module.parameters()) parameter.normal_(0, deviation);
}

inline Vector vector_of(const at::Tensor& x) {
  const auto flat = x.detach().to(at::kDouble).contiguous();
  return {flat.const_data_ptr<double>(), flat.const_data_ptr<double>() + flat.numel()};
}

inline Vectors rows_of(const at::Tensor& x) {
  Vectors rows;
  for (std::int64_t i = 0; i < x.size(0); ++i) rows.push_back(vector_of(x[i]));
  return rows;
}

inline double dot(const Vector& a, const Vector& b) { return std::inner_product(a.begin(), a.end(), b.begin(), 0.0); }

inline Vector plus(Vector a, const Vector& b) {
  for (std::size_t i = 0; i < a.size(); ++i) a[i] += b[i];
  return a;
}

inline Vector joined(Vector a, const Vector& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

/// weight: [out, in]; bias: [out] or undefined.
inline Vector linear_by_hand(const at::Tensor& weight, const at::Tensor& bias, const Vector& x) {
  Vector y = bias.defined() ? vector_of(bias) : Vector(static_cast<std::size_t>(weight.size(0)));
  const auto rows = rows_of(weight);
  for (std::size_t o = 0; o < y.size(); ++o) y[o] += dot(rows[o], x);
  return y;
}

inline Vector linear_by_hand(const nn::Linear& layer, const Vector& x) {
  return linear_by_hand(layer.weight, layer.bias, x);
}

inline Vector norm_by_hand(const nn::Norm& norm, const Vector& x) {
  const auto& layer = dynamic_cast<const nn::LayerNorm&>(norm);
  const auto count = static_cast<double>(x.size());
  const double mean = std::accumulate(x.begin(), x.end(), 0.0) / count;
  double variance = 0;
  for (const double v : x) variance += (v - mean) * (v - mean) / count;
  const auto weight = vector_of(layer.weight), bias = vector_of(layer.bias);
  Vector y;
  for (std::size_t i = 0; i < x.size(); ++i)
    y.push_back((x[i] - mean) / std::sqrt(variance + 1e-5) * weight[i] + bias[i]);
  return y;
}

inline double gelu_by_hand(double x) { return x / 2 * (1 + std::erf(x / std::sqrt(2.0))); }

inline Vector mlp_by_hand(const nn::Linear& first, const nn::Linear& second, const Vector& x) {
  auto hidden = linear_by_hand(first, x);
  for (double& h : hidden) h = gelu_by_hand(h);
  return linear_by_hand(second, hidden);
}

inline Vector softmax_by_hand(Vector x) {
  const double largest = *std::max_element(x.begin(), x.end());
  double sum = 0;
  for (double& v : x) sum += v = std::exp(v - largest);
  for (double& v : x) v /= sum;
  return x;
}

/// One query over the keys that it sees.
inline Vector attention_by_hand(const nn::Attention& layer, const Vector& query, const Vectors& keys,
                                std::size_t heads) {
  const auto width = query.size(), head = width / heads;
  const auto part = [&](std::int64_t third, const Vector& x) {
    const auto w = static_cast<std::int64_t>(width);
    return linear_by_hand(layer.in_proj_weight.narrow(0, third * w, w), layer.in_proj_bias.narrow(0, third * w, w), x);
  };
  const auto q = part(0, query);
  Vectors k, v;
  for (const auto& key : keys) k.push_back(part(1, key)), v.push_back(part(2, key));
  Vector mixed(width);
  for (std::size_t first = 0; first < width; first += head) {
    Vector scores;
    for (const auto& each : k) {
      double score = 0;
      for (std::size_t d = first; d < first + head; ++d) score += q[d] * each[d];
      scores.push_back(score / std::sqrt(static_cast<double>(head)));
    }
    const auto weights = softmax_by_hand(scores);
    for (std::size_t i = 0; i < v.size(); ++i) {
      for (std::size_t d = first; d < first + head; ++d) mixed[d] += weights[i] * v[i][d];
    }
  }
  return linear_by_hand(*layer.out_proj, mixed);
}

/// A pre-norm block for one query.
inline Vector block_by_hand(const nn::ResidualBlock& block, const Vector& query, const Vectors& keys,
                            std::size_t heads) {
  Vectors normed;
  for (const auto& key : keys) normed.push_back(norm_by_hand(*block.ln_1, key));
  const auto y = plus(query, attention_by_hand(*block.attn, norm_by_hand(*block.ln_1, query), normed, heads));
  return plus(y, mlp_by_hand(*block.mlp->c_fc, *block.mlp->c_proj, norm_by_hand(*block.ln_2, y)));
}

inline Vector mean_by_hand(const Vectors& rows) {
  Vector mean(rows[0].size());
  for (const auto& row : rows) {
    for (std::size_t d = 0; d < mean.size(); ++d) mean[d] += row[d] / static_cast<double>(rows.size());
  }
  return mean;
}

/// The largest distance of a row's numbers from those worked by hand.
inline double distance(const at::Tensor& row, const Vector& expected) {
  const auto got = vector_of(row);
  if (got.size() != expected.size()) return HUGE_VAL;
  double largest = 0;
  for (std::size_t i = 0; i < got.size(); ++i) largest = std::max(largest, std::abs(got[i] - expected[i]));
  return largest;
}

}  // namespace vlalign::test
