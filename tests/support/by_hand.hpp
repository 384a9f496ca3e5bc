// Small sums for formulas worked by hand in double.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "support/rows.hpp"

namespace vlalign::test {

inline double log_sum_exp(const std::vector<double>& terms) {
  const double largest = *std::max_element(terms.begin(), terms.end());
  double sum = 0;
  for (const double term : terms) sum += std::exp(term - largest);
  return largest + std::log(sum);
}

inline Matrix transposed(const Matrix& m) {
  Matrix out(m[0].size(), std::vector<double>(m.size()));
  for (std::size_t i = 0; i < m.size(); ++i) {
    for (std::size_t j = 0; j < m[i].size(); ++j) out[j][i] = m[i][j];
  }
  return out;
}

inline Matrix scaled(double factor, Matrix m) {
  for (auto& row : m) {
    for (auto& entry : row) entry *= factor;
  }
  return m;
}

/// sum_i of logsumexp_j m_ij - m_ii.
inline double sum_of_cross_entropies(const Matrix& m) {
  double sum = 0;
  for (std::size_t i = 0; i < m.size(); ++i) sum += log_sum_exp(m[i]) - m[i][i];
  return sum;
}

/// sum_i of logsumexp_{j != i} m_ij - m_ii.
inline double sum_of_decoupled(const Matrix& m) {
  double sum = 0;
  for (std::size_t i = 0; i < m.size(); ++i) {
    auto others = m[i];
    others.erase(others.begin() + static_cast<std::ptrdiff_t>(i));
    sum += log_sum_exp(others) - m[i][i];
  }
  return sum;
}

}  // namespace vlalign::test
