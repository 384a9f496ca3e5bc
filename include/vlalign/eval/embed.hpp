#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "vlalign/core/device.hpp"
#include "vlalign/core/export.hpp"
#include "vlalign/image/image.hpp"
#include "vlalign/ranks/ranks.hpp"

namespace vlalign {

class DualEncoder;
class PairSource;
struct Embeddings;

struct EmbedOptions {
  Precision precision = Precision::fp32;
  std::int64_t batch_size = 256;
  int threads = 2;        ///< that read, decode and resize pictures, 1 to 1024
  bool projected = true;  ///< false: pictures get the tower's own features [N, W], before projection and normalisation
  std::function<void(std::int64_t done, std::int64_t total)>
      progress{};  ///< called after each batch of pictures, if set
  Ranks ranks{};   ///< processes that each embed a share, and all get the whole
  /// Called by embed_pairs(), and so by evaluate_retrieval(), with what it has got, if set.
  std::function<void(const Embeddings& embeddings, const PairSource& source)> embedded{};
};

/// Embeddings of pictures; those that could not be read are left out and named.
struct ImageEmbeddings {
  at::Tensor image;                   ///< float32 [N, D], unit rows, on the model's device
  std::vector<std::int64_t> records;  ///< [N], which picture each row is, increasing
  std::vector<std::string> bad;       ///< why each of the others could not be read
};

/// Embeddings of a data set of pairs, all its captions included.
struct Embeddings {
  at::Tensor image;                         ///< float32 [N, D], unit rows, on the model's device
  at::Tensor text;                          ///< float32 [M, D], unit rows, M >= N: every caption of every picture
  std::vector<std::int64_t> image_of_text;  ///< [M], the row of `image` that each caption belongs to
  std::vector<std::int64_t> records;        ///< [N], indices into the source
  std::vector<std::string> names;           ///< [N], PairSource::name
  std::vector<std::string> captions;        ///< [M]
  std::vector<std::string> bad;             ///< why each record that was left out could not be read
};

/// Embeds the pictures read(0) ... read(count - 1), without gradients and in evaluation mode; the model's own mode is
/// put back afterwards, which no other thread may use meanwhile. `read` is called from several threads; when it throws
/// Error the picture is left out and named in `bad`. Throws Error when none is left, or an embedding is not finite.
VLALIGN_EXPORT ImageEmbeddings embed_images(const DualEncoder& model, std::int64_t count,
                                            const std::function<Image(std::int64_t)>& read,
                                            const EmbedOptions& options = {});

/// Embeds the pictures of a data set.
VLALIGN_EXPORT ImageEmbeddings embed_images(const DualEncoder& model, const std::shared_ptr<const PairSource>& source,
                                            const EmbedOptions& options = {});

/// Embeds texts: float32 [n, D], unit rows, on the model's device. Equal texts get equal rows, bit for bit.
/// Throws Error when there is none, or an embedding is not finite.
VLALIGN_EXPORT at::Tensor embed_texts(const DualEncoder& model, std::span<const std::string> texts,
                                      const EmbedOptions& options = {});

/// Embeds a data set: embed_images on its pictures, embed_texts on the captions of those that could be read.
VLALIGN_EXPORT Embeddings embed_pairs(const DualEncoder& model, const std::shared_ptr<const PairSource>& source,
                                      const EmbedOptions& options = {});

}  // namespace vlalign
