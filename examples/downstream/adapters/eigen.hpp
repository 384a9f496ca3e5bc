// Embeddings as Eigen sees them, where they are. Copy it into your project.
#pragma once

#include <ATen/core/Tensor.h>

#include <Eigen/Core>
#include <cstddef>
#include <span>
#include <vlalign/core/error.hpp>

namespace adapters {

/// An embedding a row.
using Rows = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// The tensor's own numbers, not copied; it must outlive the map.
///   embeddings: [N, D] float32, contiguous, in the processor's memory
/// Throws vlalign::Error for any other.
inline Eigen::Map<const Rows> rows_of(const at::Tensor& embeddings) {
  const bool fits = embeddings.defined() && embeddings.dim() == 2 && embeddings.is_cpu() &&
                    embeddings.scalar_type() == at::kFloat && embeddings.is_contiguous();
  if (!fits) throw vlalign::Error("[rows_of] embeddings: expected [N, D] float32, contiguous, on the cpu");
  return {embeddings.const_data_ptr<float>(), embeddings.size(0), embeddings.size(1)};
}

Eigen::Map<const Rows> rows_of(const at::Tensor&&) = delete;  // it would be gone at once

/// Numbers in a row, an embedding or an action, where they are; they must outlive the map.
inline Eigen::Map<const Eigen::VectorXf> vector_of(std::span<const float> embedding) {
  return {embedding.data(), static_cast<Eigen::Index>(embedding.size())};
}

/// The vector's own memory, for LiveEncoder::embed and vla::LivePolicy::act to write to.
inline std::span<float> out(Eigen::VectorXf& vector) {
  return {vector.data(), static_cast<std::size_t>(vector.size())};
}

}  // namespace adapters
