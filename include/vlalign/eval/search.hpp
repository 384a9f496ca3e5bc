#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "vlalign/core/export.hpp"
#include "vlalign/eval/embed.hpp"

namespace vlalign {

struct CodedRows;  // eval/coded_rows.hpp

/// A picture found for a text.
struct SearchHit {
  std::filesystem::path path;
  double score = 0.0;  ///< cosine, -1 to 1
};

/// What is looked for: pictures like all of `texts` and `images`, and unlike `without`.
struct SearchQuery {
  std::vector<std::string> texts{};
  std::vector<std::filesystem::path> images{};  ///< files
  std::vector<std::string> without{};           ///< texts
};

/// The embedded pictures of a folder, to be searched many times.
struct ImageIndex {
  std::vector<std::filesystem::path> paths;  ///< [N], sorted
  at::Tensor image;                          ///< float32 [N, D], unit rows, on the model's device
  std::vector<std::string> bad;              ///< why each picture that was left out could not be read
  /// Made by index_images() on a CPU: `image` in 8 bits, with which best_matches() finds the same pictures from a
  /// quarter of the memory. Without it, or where `image` is another tensor by now, every row is read.
  std::shared_ptr<const CodedRows> coded{};
};

/// Embeds every picture below a folder (see is_image_file, in subfolders too).
/// Throws Error when the folder is not there or holds no readable picture.
VLALIGN_EXPORT ImageIndex index_images(const DualEncoder& model, const std::filesystem::path& folder,
                                       const EmbedOptions& options = {});

/// The same, with what it embeds kept in a file in the folder `kept`, which is made where it isn't there:
/// `index_images(model, "photos", "photos-index")`. A picture's row is taken from there while its path below `folder`,
/// its size, its time of change (in ns), the model (weights, preprocessing, what it makes of a test picture) and the
/// precision are the same; new and changed pictures are embedded, vanished ones dropped, and the file is replaced in
/// one step where anything changed. Each folder of pictures and each model has a file of its own there, named by a
/// fingerprint of both. A damaged file is told as a warning and made anew; so is one that can't be written at the end.
/// Several processes may do this at once: each has whole files, and what one adds another may have to embed again.
/// Throws Error as above, and before anything is embedded when `kept` can't be written to.
VLALIGN_EXPORT ImageIndex index_images(const DualEncoder& model, const std::filesystem::path& folder,
                                       const std::filesystem::path& kept, const EmbedOptions& options = {});

/// The k best pictures for an embedding, best first; equal scores in the order of the paths. On a CPU the scores of
/// float32 rows are sums in double precision, the same for any number of threads.
///   text: floating [D] or [1, D], unit length
VLALIGN_EXPORT std::vector<SearchHit> best_matches(const ImageIndex& index, const at::Tensor& text, std::int64_t k = 5);

/// The direction of a query, float32 [1, D], unit length, on the model's device. With t the unit embeddings of texts,
/// i of pictures and w of what shall be absent it is s / |s| with s = sum t + sum i - sum w, the arithmetic of word
/// vectors (Mikolov et al. 2013, "king - man + woman").
/// Throws Error when there is neither a text nor a picture, a picture can't be read, or s is as good as 0.
VLALIGN_EXPORT at::Tensor embed_query(const DualEncoder& model, const SearchQuery& query,
                                      const EmbedOptions& options = {});

/// The k pictures of an index that fit a text best: `search(model, index_images(model, "photos"), "a red car")`.
VLALIGN_EXPORT std::vector<SearchHit> search(const DualEncoder& model, const ImageIndex& index, const std::string& text,
                                             std::int64_t k = 5, const EmbedOptions& options = {});

/// The same for several texts and pictures: `search(model, index, SearchQuery{.texts = {"a car"}, .without =
/// {"red"}})`.
VLALIGN_EXPORT std::vector<SearchHit> search(const DualEncoder& model, const ImageIndex& index,
                                             const SearchQuery& query, std::int64_t k = 5,
                                             const EmbedOptions& options = {});

/// index_images and search in one, for a single question.
VLALIGN_EXPORT std::vector<SearchHit> search_images(const DualEncoder& model, const std::filesystem::path& folder,
                                                    const std::string& text, std::int64_t k = 5,
                                                    const EmbedOptions& options = {});

/// [{"path", "score"}, ...]
VLALIGN_EXPORT std::string to_json(const std::vector<SearchHit>& hits);

}  // namespace vlalign
