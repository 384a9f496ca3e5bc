// Arrays in NumPy's format. Internal.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>

namespace vlalign {

/// Writes a tensor as numpy.save() does: format 1.0 (numpy.lib.format), C order. Throws Error for a dtype that isn't
/// float16, float32, float64 or int64, and when the file can't be written; see write_file_atomically().
void write_npy(const std::filesystem::path& file, const at::Tensor& tensor);

}  // namespace vlalign
