#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <string>

#include "vlalign/core/export.hpp"

namespace vlalign {

using NamedTensors = std::map<std::string, at::Tensor>;

/// A safetensors file (github.com/huggingface/safetensors): named tensors and a string-to-string table.
struct Safetensors {
  NamedTensors tensors;
  std::map<std::string, std::string> metadata;
};

/// Maps the file into memory; the tensors are views of it (CPU, private: writing to one changes no file).
/// Throws Error naming the file and the fault: a header longer than the file, offsets that overlap, leave gaps or lie
/// outside, a shape that doesn't fit its bytes, a name given twice, an unknown dtype.
VLALIGN_EXPORT Safetensors read_safetensors(const std::filesystem::path& file);

/// Writes beside the file, syncs, renames. Tensors may lie on any device; their bytes are written contiguous. Replaces
/// an empty file or a safetensors file; throws Error for anything else at that place, and leaves it alone.
VLALIGN_EXPORT void write_safetensors(const std::filesystem::path& file, const NamedTensors& tensors,
                                      const std::map<std::string, std::string>& metadata = {});

}  // namespace vlalign
