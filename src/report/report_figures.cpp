#include "report/report_figures.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "eval/checked_embeddings.hpp"
#include "eval/first_captions.hpp"
#include "eval/rows.hpp"
#include "report/principal_plane.hpp"
#include "vlalign/core/normalize.hpp"

namespace vlalign {
namespace {

constexpr std::int64_t picture_queries = 6;
constexpr std::int64_t caption_queries = 5;
constexpr std::int64_t captions_a_picture = 5;
constexpr std::int64_t pictures_a_caption = 6;
constexpr std::int64_t matrix_size = 36;
constexpr std::int64_t map_size = 120;  // more than these hide one another

using Indices = std::vector<std::int64_t>;

/// k of the numbers 0..n-1, evenly spaced.
Indices evenly_spaced(std::int64_t n, std::int64_t k) {
  k = std::min(n, k);
  Indices chosen;
  for (std::int64_t i = 0; i < k; ++i) chosen.push_back((2 * i + 1) * n / (2 * k));
  return chosen;
}

at::Tensor select(const at::Tensor& rows, const Indices& which) {
  return rows.index_select(0, at::tensor(which, at::kLong).to(rows.device()));
}

std::vector<double> to_doubles(const at::Tensor& values) {
  const auto on_cpu = values.to(at::kCPU, at::kDouble).contiguous();
  const auto* begin = on_cpu.const_data_ptr<double>();
  return {begin, begin + on_cpu.numel()};
}

Indices captions_of(const Indices& pictures, const Indices& first_caption) {
  Indices captions;
  for (const auto picture : pictures) captions.push_back(first_caption[static_cast<std::size_t>(picture)]);
  return captions;
}

/// right(candidate): whether it belongs to the query.
template <typename Right>
RetrievalExample example(std::int64_t query, const at::Tensor& query_row, const at::Tensor& candidates,
                         std::int64_t shown, const Right& right) {
  const auto cosines = to_doubles(at::matmul(candidates, query_row));
  RetrievalExample out{.query = query, .rank = 1, .best = {}};
  double best_right = -2.0;
  Indices order(cosines.size());
  std::iota(order.begin(), order.end(), 0);
  for (const auto row : order) {
    if (right(row)) best_right = std::max(best_right, cosines[static_cast<std::size_t>(row)]);
  }
  for (const auto row : order)
    out.rank += !right(row) && cosines[static_cast<std::size_t>(row)] >= best_right - tie_margin;
  const auto kept = std::min(shown, std::ssize(order));
  std::partial_sort(order.begin(), order.begin() + kept, order.end(), [&](std::int64_t a, std::int64_t b) {
    const double difference = cosines[static_cast<std::size_t>(a)] - cosines[static_cast<std::size_t>(b)];
    return difference != 0.0 ? difference > 0.0 : a < b;
  });
  for (std::int64_t i = 0; i < kept; ++i) {
    const auto row = order[static_cast<std::size_t>(i)];
    out.best.push_back({row, cosines[static_cast<std::size_t>(row)], right(row)});
  }
  return out;
}

std::vector<RetrievalExample> captions_of_pictures(const Embeddings& e, const Indices& queries) {
  std::vector<RetrievalExample> examples;
  for (const auto picture : queries) {
    const auto right = [&](std::int64_t text) { return e.image_of_text[static_cast<std::size_t>(text)] == picture; };
    examples.push_back(example(picture, e.image.select(0, picture), e.text, captions_a_picture, right));
  }
  return examples;
}

std::vector<RetrievalExample> pictures_of_captions(const Embeddings& e, const Indices& queries) {
  std::vector<RetrievalExample> examples;
  for (const auto text : queries) {
    const auto owner = e.image_of_text[static_cast<std::size_t>(text)];
    const auto right = [&](std::int64_t picture) { return picture == owner; };
    examples.push_back(example(text, e.text.select(0, text), e.image, pictures_a_caption, right));
  }
  return examples;
}

/// A path through all points that goes from each to the nearest one not yet visited, then undoes crossings as long as
/// turning a stretch of the path round makes it shorter (2-opt).
///   likeness: [n * n], symmetric
Indices order_by_likeness(const std::vector<double>& likeness, std::int64_t n) {
  const auto like = [&](std::int64_t a, std::int64_t b) { return likeness[static_cast<std::size_t>(a * n + b)]; };
  Indices path(static_cast<std::size_t>(n));
  std::iota(path.begin(), path.end(), 0);
  for (auto here = path.begin(); here != path.end() && here + 1 != path.end(); ++here) {
    std::iter_swap(here + 1, std::max_element(here + 1, path.end(), [&](std::int64_t a, std::int64_t b) {
                     return like(*here, a) < like(*here, b);
                   }));
  }
  const auto gain_of_turning = [&](auto first, auto last) {  // the stretch [first, last)
    double gain = 0.0;
    if (first != path.begin()) gain += like(*(first - 1), *(last - 1)) - like(*(first - 1), *first);
    if (last != path.end()) gain += like(*first, *last) - like(*(last - 1), *last);
    return gain;
  };
  bool better = true;
  for (int round = 0; better && round < 20; ++round) {
    better = false;
    for (auto first = path.begin(); first != path.end(); ++first) {
      for (auto last = first + 1; last != path.end(); ++last) {
        if (gain_of_turning(first, last + 1) <= 1e-9) continue;
        std::reverse(first, last + 1);
        better = true;
      }
    }
  }
  return path;
}

SimilarityMatrix similarity_matrix(const Embeddings& e, const Indices& chosen, const Indices& first_caption) {
  const auto both = l2_normalize(select(e.image, chosen) + select(e.text, captions_of(chosen, first_caption)));
  SimilarityMatrix matrix;
  for (const auto place : order_by_likeness(to_doubles(at::matmul(both, both.t())), std::ssize(chosen))) {
    matrix.pictures.push_back(chosen[static_cast<std::size_t>(place)]);
  }
  matrix.captions = captions_of(matrix.pictures, first_caption);
  matrix.cosines = to_doubles(at::matmul(select(e.image, matrix.pictures), select(e.text, matrix.captions).t()));
  return matrix;
}

SpaceMap space_map(const Embeddings& e, const Indices& pictures, const Indices& first_caption) {
  SpaceMap map{.pictures = pictures,
               .captions = captions_of(pictures, first_caption),
               .picture_points = {},
               .caption_points = {}};
  const auto centred = [](const at::Tensor& rows) { return rows - rows.mean(0, true); };
  const auto plane =
      principal_plane(at::cat({centred(select(e.image, map.pictures)), centred(select(e.text, map.captions))}));
  const auto middle = plane.points.begin() + std::ssize(pictures);
  map.picture_points.assign(plane.points.begin(), middle);
  map.caption_points.assign(middle, plane.points.end());
  map.explained = plane.explained;
  return map;
}

}  // namespace

ReportFigures make_figures(const Embeddings& given, std::int64_t budget) {
  const auto checked = checked_embeddings(given, "report");
  Embeddings embeddings;
  embeddings.image = checked.image.to(at::kFloat);
  embeddings.text = checked.text.to(at::kFloat);
  embeddings.image_of_text = given.image_of_text;
  const auto n = embeddings.image.size(0);
  const auto first_caption = first_captions(embeddings);
  const auto queries = evenly_spaced(n, picture_queries);
  ReportFigures figures;
  figures.captions_of_pictures = captions_of_pictures(embeddings, queries);
  figures.pictures_of_captions =
      pictures_of_captions(embeddings, captions_of(evenly_spaced(n, caption_queries), first_caption));
  figures.matrix = similarity_matrix(embeddings, evenly_spaced(n, matrix_size), first_caption);

  std::set<std::int64_t> shown(queries.begin(), queries.end());
  shown.insert(figures.matrix.pictures.begin(), figures.matrix.pictures.end());
  for (const auto& caption : figures.pictures_of_captions) {
    for (const auto& item : caption.best) shown.insert(item.row);
  }
  const auto mapped = evenly_spaced(n, std::clamp<std::int64_t>(budget - std::ssize(shown), matrix_size, map_size));
  shown.insert(mapped.begin(), mapped.end());
  figures.pictures.assign(shown.begin(), shown.end());
  figures.map = space_map(embeddings, mapped, first_caption);
  return figures;
}

}  // namespace vlalign
