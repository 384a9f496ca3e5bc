// Embeddings of a folder's pictures, kept in a file between searches. Internal.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "eval/coded_rows.hpp"

namespace vlalign {

/// What tells a picture's file from another version of it.
struct PictureStamp {
  std::int64_t size = -1;         ///< bytes; -1 where there is no such file any more
  std::int64_t modified_ns = -1;  ///< since 1970

  bool operator==(const PictureStamp&) const = default;
};

/// Links are followed.
PictureStamp stamp_of(const std::filesystem::path& picture);

struct KeptImages {
  std::vector<std::string> paths;    ///< [N], below the folder, each once
  std::vector<PictureStamp> stamps;  ///< [N], from before the picture was read
  at::Tensor image;                  ///< float32 [N, D]
  CodedRows coded;
  at::Tensor probe;  ///< float32 [1, D], what the model makes of a test picture
};

/// What the file holds; nothing where there is no file. It stays mapped as long as its tensors are used. Throws Error
/// naming the file and the fault where it is damaged or something else.
std::optional<KeptImages> read_kept_images(const std::filesystem::path& file);

/// Replaces such a file in one step; see write_safetensors().
void write_kept_images(const std::filesystem::path& file, const KeptImages& images);

}  // namespace vlalign
