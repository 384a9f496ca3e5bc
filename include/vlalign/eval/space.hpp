#pragma once

#include <ATen/core/Tensor.h>

#include "vlalign/core/export.hpp"

namespace vlalign {

// Measures of the joint space. Rows are embeddings of unit length: x, y: floating [N, D], on one device, N >= 1.
// Sums are carried in double precision and in blocks of rows, converted a block at a time: beside the rows themselves a
// measure needs less than 1 GB, however many there are and in whatever dtype.
// Each throws Error on wrong shapes and on values that are not finite.

/// How close a picture and its caption lie: mean_i ||x_i - y_i||^2 = 2 - 2 mean_i cos(x_i, y_i); 0 is perfect, random
/// directions give about 2 (Wang & Isola 2020, github.com/ssnl/align_uniform, alpha = 2).
VLALIGN_EXPORT double alignment(const at::Tensor& x, const at::Tensor& y);

/// How evenly the embeddings of one modality cover the sphere: log mean_{i<j} exp(-2 ||x_i - x_j||^2); lower is more
/// even, 0 means collapsed onto one point. 0 for a single row (Wang & Isola 2020, t = 2).
VLALIGN_EXPORT double uniformity(const at::Tensor& x);

/// Distance between the centres of the two modalities, ||mean_i x_i - mean_j y_j||; x and y may have different numbers
/// of rows (Liang et al. 2022, github.com/Weixin-Liang/Modality-Gap).
VLALIGN_EXPORT double modality_gap(const at::Tensor& x, const at::Tensor& y);

/// How much the towers agree on which inputs are alike, 0 to 1: linear centred kernel alignment,
/// ||Yc^T Xc||_F^2 / (||Xc^T Xc||_F ||Yc^T Yc||_F) with Xc and Yc less their mean rows (Kornblith et al. 2019, section
/// 3). Rotating or scaling x or y changes nothing. x: [N, D1]; y: [N, D2]. 0 when all rows of x or of y are one point.
VLALIGN_EXPORT double linear_cka(const at::Tensor& x, const at::Tensor& y);

/// How many dimensions the embeddings make use of, 1 to min(N, D): RankMe, exp(-sum_k p_k log p_k) with
/// p_k = sigma_k / sum_j sigma_j + 1e-7 and sigma the singular values of x, not centred (Garrido et al. 2023, section
/// 3). 0 when every entry is zero.
VLALIGN_EXPORT double effective_rank(const at::Tensor& x);

}  // namespace vlalign
