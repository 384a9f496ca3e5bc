// Optimizers worked in double precision from their papers' formulas, a number at a time and without ATen.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "vlalign/train/optimizer_options.hpp"

namespace vlalign::test {

using Numbers = std::vector<double>;

/// A parameter with all that an optimizer keeps of it.
struct Worked {
  Numbers weights{};
  std::size_t rows = 1, columns = 1;  ///< of each of `matrices` that lie one below the other
  std::size_t matrices = 0;           ///< for Muon; 0: it is left to AdamW
  bool decayed = false;
  Numbers first{}, second{};  ///< moments, zeros at first
  int steps = 0;
};

inline double norm_of(const Numbers& numbers) {
  double sum = 0;
  for (const double number : numbers) sum += number * number;
  return std::sqrt(sum);
}

/// Adam's m^ / (sqrt(v^) + eps), Kingma & Ba 2015, algorithm 1.
inline Numbers adam_of(Worked& p, const Numbers& gradient, double beta1, double beta2, double eps) {
  ++p.steps;
  Numbers update(gradient.size());
  for (std::size_t i = 0; i < gradient.size(); ++i) {
    p.first[i] = beta1 * p.first[i] + (1 - beta1) * gradient[i];
    p.second[i] = beta2 * p.second[i] + (1 - beta2) * gradient[i] * gradient[i];
    const double average = p.first[i] / (1 - std::pow(beta1, p.steps));
    update[i] = average / (std::sqrt(p.second[i] / (1 - std::pow(beta2, p.steps))) + eps);
  }
  return update;
}

/// Loshchilov & Hutter 2019, algorithm 2.
inline void work(const AdamWOptions& o, Worked& p, const Numbers& gradient, double rate) {
  const auto update = adam_of(p, gradient, o.beta1, o.beta2, o.eps);
  const double decay = p.decayed ? o.weight_decay : 0;
  for (std::size_t i = 0; i < update.size(); ++i) p.weights[i] -= rate * (update[i] + decay * p.weights[i]);
}

/// You et al. 2020, algorithm 2.
inline void work(const LambOptions& o, Worked& p, const Numbers& gradient, double rate) {
  auto update = adam_of(p, gradient, o.beta1, o.beta2, o.eps);
  double ratio = 1;
  if (p.decayed) {
    for (std::size_t i = 0; i < update.size(); ++i) update[i] += o.weight_decay * p.weights[i];
    const double weights = norm_of(p.weights), length = norm_of(update);
    if (weights > 0 && length > 0) ratio = weights / length;
  }
  for (std::size_t i = 0; i < update.size(); ++i) p.weights[i] -= rate * ratio * update[i];
}

/// Chen et al. 2023, algorithm 2.
inline void work(const LionOptions& o, Worked& p, const Numbers& gradient, double rate) {
  const double decay = p.decayed ? o.weight_decay : 0;
  for (std::size_t i = 0; i < gradient.size(); ++i) {
    const double ahead = o.beta1 * p.first[i] + (1 - o.beta1) * gradient[i];
    const double sign = ahead > 0 ? 1 : ahead < 0 ? -1 : 0;
    p.weights[i] -= rate * (sign + decay * p.weights[i]);
    p.first[i] = o.beta2 * p.first[i] + (1 - o.beta2) * gradient[i];
  }
}

/// X X', [rows, rows] of [rows, columns].
inline Numbers times_its_transpose(const Numbers& x, std::size_t rows, std::size_t columns) {
  Numbers square(rows * rows);
  for (std::size_t i = 0; i < rows; ++i)
    for (std::size_t j = 0; j < rows; ++j)
      for (std::size_t k = 0; k < columns; ++k) square[i * rows + j] += x[i * columns + k] * x[j * columns + k];
  return square;
}

/// [rows, columns] of [rows, rows] and [rows, columns].
inline Numbers product_of(const Numbers& square, const Numbers& x, std::size_t rows, std::size_t columns) {
  Numbers product(rows * columns);
  for (std::size_t i = 0; i < rows; ++i)
    for (std::size_t k = 0; k < rows; ++k)
      for (std::size_t j = 0; j < columns; ++j) product[i * columns + j] += square[i * rows + k] * x[k * columns + j];
  return product;
}

/// Jordan et al. 2024: X = a X + (b X X' + c (X X')^2) X from X of norm 1.
inline Numbers orthogonal_of(Numbers x, std::size_t rows, std::size_t columns, int steps) {
  const double norm = std::max(norm_of(x), 1e-7);
  for (auto& number : x) number /= norm;
  for (int step = 0; step < steps; ++step) {
    const auto square = times_its_transpose(x, rows, columns);
    const auto third = product_of(square, x, rows, columns), fifth = product_of(square, third, rows, columns);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = 3.4445 * x[i] - 4.7750 * third[i] + 2.0315 * fifth[i];
  }
  return x;
}

/// Jordan et al. 2024 with the size of Liu et al. 2025, equation 4.
inline void work(const MuonOptions& o, Worked& p, const Numbers& gradient, double rate) {
  if (p.matrices == 0) return work(o.rest, p, gradient, rate);
  const std::size_t count = p.rows * p.columns;
  const double size = 0.2 * std::sqrt(static_cast<double>(std::max(p.rows, p.columns)));
  for (std::size_t begin = 0; begin < p.matrices * count; begin += count) {
    Numbers ahead(count);
    for (std::size_t i = 0; i < count; ++i) {
      auto& momentum = p.first[begin + i];
      momentum = o.momentum * momentum + gradient[begin + i];
      ahead[i] = gradient[begin + i] + o.momentum * momentum;
    }
    const auto update = orthogonal_of(ahead, p.rows, p.columns, o.newton_schulz);
    for (std::size_t i = 0; i < count; ++i)
      p.weights[begin + i] -= rate * (size * update[i] + o.weight_decay * p.weights[begin + i]);
  }
}

}  // namespace vlalign::test
