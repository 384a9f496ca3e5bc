#include "eval/checked_embeddings.hpp"

#include <ATen/ops/tensor.h>

#include <algorithm>

#include "core/check.hpp"
#include "eval/rows.hpp"

namespace vlalign {
namespace {

/// Captions of each picture.
std::vector<std::int64_t> captions_per_image(const Embeddings& embeddings, std::string_view function) {
  const auto n = embeddings.image.size(0);
  std::vector<std::int64_t> counts(static_cast<std::size_t>(n), 0);
  for (const auto image : embeddings.image_of_text) {
    check(image >= 0 && image < n, "[{}] image_of_text: expected rows 0 to {}, got {}", function, n - 1, image);
    ++counts[static_cast<std::size_t>(image)];
  }
  const auto lonely = std::find(counts.begin(), counts.end(), 0);
  check(lonely == counts.end(), "[{}] image_of_text: picture {} has no caption", function, lonely - counts.begin());
  return counts;
}

}  // namespace

CheckedEmbeddings checked_embeddings(const Embeddings& embeddings, std::string_view function) {
  CheckedEmbeddings out;
  out.image = checked_rows(embeddings.image, function, "image");
  out.text = checked_rows(embeddings.text, function, "text");
  check(out.text.size(1) == out.image.size(1), "[{}] text: expected [M, {}] as image, got [{}, {}]", function,
        out.image.size(1), out.text.size(0), out.text.size(1));
  check_device(out.text, out.image, function, "text", "image");
  check(std::ssize(embeddings.image_of_text) == out.text.size(0),
        "[{}] image_of_text: expected {} entries, one a caption, got {}", function, out.text.size(0),
        embeddings.image_of_text.size());
  out.captions_per_image = captions_per_image(embeddings, function);
  out.owner = at::tensor(embeddings.image_of_text, at::kLong).to(out.image.device());
  return out;
}

}  // namespace vlalign
