#include "vlalign/eval/search.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <span>

#include "core/check.hpp"
#include "core/json/dump_json.hpp"
#include "eval/nearest_rows.hpp"
#include "eval/rows.hpp"
#include "vlalign/image/transform.hpp"
#include "vlalign/model/dual_encoder.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;

/// For what isn't float32 on a CPU.
std::vector<NearRow> nearest_by_matmul(const at::Tensor& image, const at::Tensor& query, std::int64_t k) {
  const auto rows = float_rows(checked_rows(image, "search", "index.image"));
  const auto scores = at::matmul(rows, query.to(rows.scalar_type())).to(at::kDouble).cpu().contiguous();
  BestRows best(std::min(k, rows.size(0)));
  for (std::int64_t row = 0; row < rows.size(0); ++row) best.add({scores.const_data_ptr<double>()[row], row});
  return best.sorted();
}

bool are_codes_of(const std::shared_ptr<const CodedRows>& coded, const at::Tensor& image) {
  return coded && coded->of == image.const_data_ptr() && coded->codes.sizes() == image.sizes();
}

std::vector<NearRow> nearest(const ImageIndex& index, const at::Tensor& query, std::int64_t k) {
  const auto& image = index.image;
  if (!image.is_cpu() || image.scalar_type() != at::kFloat) return nearest_by_matmul(image, query, k);
  const auto numbers = query.to(at::kCPU, at::kDouble).contiguous();
  const std::span wanted(numbers.const_data_ptr<double>(), static_cast<std::size_t>(numbers.numel()));
  if (are_codes_of(index.coded, image)) return nearest_rows(image, *index.coded, wanted, k);
  auto rows = nearest_rows(image.contiguous(), wanted, k);
  if (!std::isfinite(rows.front().score)) checked_rows(image, "search", "index.image");
  return rows;
}

}  // namespace

std::vector<SearchHit> best_matches(const ImageIndex& index, const at::Tensor& text, std::int64_t k) {
  check(k > 0, "[search] k: expected at least 1, got {}", k);
  check(text.defined(), "[search] text: expected an embedding, got none");
  const auto& image = index.image;
  check_rows_shape(image, "search", "index.image");
  const auto query = checked_rows(text.dim() == 1 ? text.unsqueeze(0) : text, "search", "text");
  check(image.size(0) == std::ssize(index.paths), "[search] index.paths: expected {}, one a picture, got {}",
        image.size(0), index.paths.size());
  check(query.size(0) == 1 && query.size(1) == image.size(1), "[search] text: expected [1, {}], got [{}, {}]",
        image.size(1), query.size(0), query.size(1));
  std::vector<SearchHit> hits;
  for (const auto& found : nearest(index, query.to(image.device()).squeeze(0), k))
    hits.push_back({index.paths[static_cast<std::size_t>(found.row)], found.score});
  return hits;
}

at::Tensor embed_query(const DualEncoder& model, const SearchQuery& query, const EmbedOptions& options) {
  check(!query.texts.empty() || !query.images.empty(), "[search] query: expected a text or a picture, got neither");
  std::vector<Image> pictures;
  for (const auto& file : query.images) {
    const auto& how = model.config().preprocess;
    pictures.push_back(read_image(file, needed_side(how), how.pixels_as));
  }
  auto sum = at::zeros({1, model.config().embed_dim}, at::TensorOptions(at::kDouble).device(model.device()));
  const auto add = [&](const at::Tensor& rows, double sign) { sum += sign * rows.to(at::kDouble).sum(0, true); };
  if (!query.texts.empty()) add(embed_texts(model, query.texts, options), 1);
  if (!query.without.empty()) add(embed_texts(model, query.without, options), -1);
  if (!pictures.empty()) {
    const auto read = [&](std::int64_t i) { return pictures[static_cast<std::size_t>(i)]; };
    add(embed_images(model, std::ssize(pictures), read, options).image, 1);
  }
  const auto length = sum.norm();
  check(length.item<double>() > 1e-4,
        "[search] query: what is looked for and what shall be absent cancel each other; name something else");
  return (sum / length).to(at::kFloat);
}

std::vector<SearchHit> search(const DualEncoder& model, const ImageIndex& index, const std::string& text,
                              std::int64_t k, const EmbedOptions& options) {
  return best_matches(index, embed_texts(model, std::span(&text, 1), options), k);
}

std::vector<SearchHit> search(const DualEncoder& model, const ImageIndex& index, const SearchQuery& query,
                              std::int64_t k, const EmbedOptions& options) {
  return best_matches(index, embed_query(model, query, options), k);
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
