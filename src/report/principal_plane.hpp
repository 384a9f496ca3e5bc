// The plane that keeps most of the variance of a set of points. Internal: Eigen stays out of public headers.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <vector>

namespace vlalign {

struct PrincipalPlane {
  std::vector<std::array<double, 2>> points;  ///< [N], coordinates along the first two principal components
  double explained = 0.0;                     ///< their share of the variance, 0 to 1
};

/// PCA of rows whose mean is zero: floating [N, D]. Each axis points to the side of its farthest point.
PrincipalPlane principal_plane(const at::Tensor& rows);

}  // namespace vlalign
