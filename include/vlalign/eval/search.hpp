#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "vlalign/core/export.hpp"
#include "vlalign/eval/embed.hpp"

namespace vlalign {

/// A picture found for a text.
struct SearchHit {
  std::filesystem::path path;
  double score = 0.0;  ///< cosine, -1 to 1
};

/// The embedded pictures of a folder, to be searched many times.
struct ImageIndex {
  std::vector<std::filesystem::path> paths;  ///< [N], sorted
  at::Tensor image;                          ///< float32 [N, D], unit rows, on the model's device
  std::vector<std::string> bad;              ///< why each picture that was left out could not be read
};

/// Embeds every picture below a folder (see is_image_file, in subfolders too).
/// Throws Error when the folder is not there or holds no readable picture.
VLALIGN_EXPORT ImageIndex index_images(const DualEncoder& model, const std::filesystem::path& folder,
                                       const EmbedOptions& options = {});

/// The k best pictures for a text embedding, best first; equal scores in the order of the paths.
///   text: floating [D] or [1, D], unit length
VLALIGN_EXPORT std::vector<SearchHit> best_matches(const ImageIndex& index, const at::Tensor& text, std::int64_t k = 5);

/// The k pictures of an index that fit a text best: `search(model, index_images(model, "photos"), "a red car")`.
VLALIGN_EXPORT std::vector<SearchHit> search(const DualEncoder& model, const ImageIndex& index, const std::string& text,
                                             std::int64_t k = 5, const EmbedOptions& options = {});

/// index_images and search in one, for a single question.
VLALIGN_EXPORT std::vector<SearchHit> search_images(const DualEncoder& model, const std::filesystem::path& folder,
                                                    const std::string& text, std::int64_t k = 5,
                                                    const EmbedOptions& options = {});

/// [{"path", "score"}, ...]
VLALIGN_EXPORT std::string to_json(const std::vector<SearchHit>& hits);

}  // namespace vlalign
