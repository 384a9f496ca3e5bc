#include "vlalign/eval/search.hpp"

#include <ATen/ops/matmul.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>
#include <span>

#include "core/check.hpp"
#include "core/json/dump_json.hpp"
#include "data/sources/picture_files.hpp"
#include "eval/rows.hpp"
#include "vlalign/model/dual_encoder.hpp"

namespace vlalign {

namespace fs = std::filesystem;

ImageIndex index_images(const DualEncoder& model, const fs::path& folder, const EmbedOptions& options) {
  const auto paths = picture_files(folder);
  const auto& how = model.config().preprocess;
  const auto side = needed_side(how);
  const auto read = [&](std::int64_t i) { return read_image(paths[static_cast<std::size_t>(i)], side, how.pixels_as); };
  auto images = embed_images(model, std::ssize(paths), read, options);
  ImageIndex index{.paths = {}, .image = std::move(images.image), .bad = std::move(images.bad)};
  for (const auto record : images.records) index.paths.push_back(paths[static_cast<std::size_t>(record)]);
  return index;
}

std::vector<SearchHit> best_matches(const ImageIndex& index, const at::Tensor& text, std::int64_t k) {
  check(k > 0, "[search] k: expected at least 1, got {}", k);
  check(text.defined(), "[search] text: expected an embedding, got none");
  const auto image = float_rows(checked_rows(index.image, "search", "index.image"));
  const auto query = checked_rows(text.dim() == 1 ? text.unsqueeze(0) : text, "search", "text").to(image.scalar_type());
  check(image.size(0) == std::ssize(index.paths), "[search] index.paths: expected {}, one a picture, got {}",
        image.size(0), index.paths.size());
  check(query.size(0) == 1 && query.size(1) == image.size(1), "[search] text: expected [1, {}], got [{}, {}]",
        image.size(1), query.size(0), query.size(1));

  const auto scores = at::matmul(image, query.to(image.device()).squeeze(0)).to(at::kDouble).cpu().contiguous();
  const auto* score = scores.const_data_ptr<double>();
  std::vector<std::int64_t> order(index.paths.size());
  std::iota(order.begin(), order.end(), 0);
  const auto kept = std::min<std::int64_t>(k, std::ssize(order));
  std::partial_sort(order.begin(), order.begin() + kept, order.end(),
                    [&](std::int64_t a, std::int64_t b) { return score[a] != score[b] ? score[a] > score[b] : a < b; });
  std::vector<SearchHit> hits;
  for (std::int64_t i = 0; i < kept; ++i) {
    const auto row = order[static_cast<std::size_t>(i)];
    hits.push_back({index.paths[static_cast<std::size_t>(row)], score[row]});
  }
  return hits;
}

std::vector<SearchHit> search(const DualEncoder& model, const ImageIndex& index, const std::string& text,
                              std::int64_t k, const EmbedOptions& options) {
  return best_matches(index, embed_texts(model, std::span(&text, 1), options), k);
}

std::vector<SearchHit> search_images(const DualEncoder& model, const fs::path& folder, const std::string& text,
                                     std::int64_t k, const EmbedOptions& options) {
  return search(model, index_images(model, folder, options), text, k, options);
}

std::string to_json(const std::vector<SearchHit>& hits) {
  auto json = nlohmann::ordered_json::array();
  for (const auto& hit : hits) json.push_back({{"path", hit.path.string()}, {"score", hit.score}});
  return dump_readable(json);
}

}  // namespace vlalign
