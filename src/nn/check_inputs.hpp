// What towers can be given.
#pragma once

#include <ATen/core/Tensor.h>

namespace vlalign::nn {

/// Floating [B, 3, H, W], B of 1 or more; throws Error, [where] in front. Sides are the towers' own matter.
void check_pixels(const at::Tensor& pixels, const char* where);

/// int64 [B, L], neither of them 0.
void check_tokens(const at::Tensor& tokens, const char* where);

/// Ids from 0 to below vocab_size. Looks at tensors on a CPU only: a GPU's would have to be waited for.
void check_ids(const at::Tensor& tokens, std::int64_t vocab_size, const char* where);

}  // namespace vlalign::nn
