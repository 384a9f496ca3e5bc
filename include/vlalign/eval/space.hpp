#pragma once

#include <ATen/core/Tensor.h>

namespace vlalign {

// Measures of the joint space. Rows are embeddings of unit length: x, y: floating [N, D], on one device, N >= 1.
// Sums are carried in double precision and in blocks of rows, so that memory stays small.
// Each throws Error on wrong shapes and on values that are not finite.

/// How close a picture and its caption lie: mean_i ||x_i - y_i||^2 = 2 - 2 mean_i cos(x_i, y_i); 0 is perfect, random
/// directions give about 2 (Wang & Isola 2020, github.com/ssnl/align_uniform, alpha = 2).
double alignment(const at::Tensor& x, const at::Tensor& y);

/// How evenly the embeddings of one modality cover the sphere: log mean_{i<j} exp(-2 ||x_i - x_j||^2); lower is more
/// even, 0 means collapsed onto one point. 0 for a single row (Wang & Isola 2020, t = 2).
double uniformity(const at::Tensor& x);

/// Distance between the centres of the two modalities, ||mean_i x_i - mean_j y_j||; x and y may have different numbers
/// of rows (Liang et al. 2022, github.com/Weixin-Liang/Modality-Gap).
double modality_gap(const at::Tensor& x, const at::Tensor& y);

}  // namespace vlalign
