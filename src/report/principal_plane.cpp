#include "report/principal_plane.hpp"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>

namespace vlalign {

PrincipalPlane principal_plane(const at::Tensor& rows) {
  using Rows = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const auto values = rows.to(at::kCPU, at::kDouble).contiguous();
  const Eigen::Map<const Rows> x(values.const_data_ptr<double>(), values.size(0), values.size(1));
  // The eigenvectors of X X^T, times the roots of its eigenvalues, are the coordinates themselves.
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(x * x.transpose());
  const auto& eigenvalues = solver.eigenvalues();  // increasing
  PrincipalPlane plane;
  plane.points.resize(static_cast<std::size_t>(x.rows()), {0.0, 0.0});
  const double total = eigenvalues.sum();
  for (Eigen::Index axis = 0; axis < std::min<Eigen::Index>(2, x.rows()); ++axis) {
    const auto column = x.rows() - 1 - axis;
    const double eigenvalue = std::max(0.0, eigenvalues(column));
    const Eigen::VectorXd direction = solver.eigenvectors().col(column);
    Eigen::Index farthest = 0;
    direction.cwiseAbs().maxCoeff(&farthest);
    const double length = std::copysign(std::sqrt(eigenvalue), direction(farthest));
    for (Eigen::Index i = 0; i < x.rows(); ++i) {
      plane.points[static_cast<std::size_t>(i)][static_cast<std::size_t>(axis)] = length * direction(i);
    }
    if (total > 0.0) plane.explained += eigenvalue / total;
  }
  return plane;
}

}  // namespace vlalign
