// ONNX's file format. Internal.
#pragma once

#include <cstdint>
#include <filesystem>

#include "export/onnx_model.hpp"

namespace vlalign::onnx {

/// Writes a model's file, and where its weights are more than `external_above` bytes a file FILE.data beside it that
/// holds those of a kilobyte or more, each at a multiple of 4096 (ONNX's external data; a model's own file ends at
/// 2 GB). Throws Error as write_file_atomically does.
void write_model(const std::filesystem::path& file, const Model& model, std::int64_t external_above);

}  // namespace vlalign::onnx
