#include "train/retrieved_captions.hpp"

#include <ATen/ops/matmul.h>

#include <set>
#include <string_view>

#include "eval/rows.hpp"

namespace vlalign {
namespace {

constexpr int best_shown = 3;

/// The best caption, by its index, whose text is none of these; -1 where there is none.
std::int64_t best_but(const float* scores, const std::vector<std::string>& captions,
                      const std::set<std::string_view>& shown) {
  std::int64_t best = -1;
  for (std::int64_t i = 0; i < std::ssize(captions); ++i) {
    if ((best < 0 || scores[i] > scores[best]) && !shown.contains(captions[static_cast<std::size_t>(i)])) best = i;
  }
  return best;
}

RetrievedCaptions retrieved(const Embeddings& embeddings, std::int64_t row, const float* scores) {
  const auto& captions = embeddings.captions;
  const auto is_own = [&](std::int64_t i) { return embeddings.image_of_text[static_cast<std::size_t>(i)] == row; };
  std::set<std::string_view> own, shown;
  std::int64_t best_own = -1;
  for (std::int64_t i = 0; i < std::ssize(captions); ++i) {
    if (!is_own(i)) continue;
    own.insert(captions[static_cast<std::size_t>(i)]);
    if (best_own < 0 || scores[i] > scores[best_own]) best_own = i;
  }
  const auto hit = [&](std::int64_t i) {
    const auto& caption = captions[static_cast<std::size_t>(i)];
    return RetrievedCaptions::Hit{.caption = caption, .cosine = scores[i], .right = own.contains(caption)};
  };
  RetrievedCaptions out{.row = row, .best = {}, .own = hit(best_own), .rank = 1};
  for (std::int64_t i = 0; i < std::ssize(captions); ++i) {
    if (!is_own(i) && scores[i] > scores[best_own] - tie_margin) ++out.rank;
  }
  for (int place = 0; place < best_shown; ++place) {
    const auto next = best_but(scores, captions, shown);
    if (next < 0) break;
    out.best.push_back(hit(next));
    shown.insert(captions[static_cast<std::size_t>(next)]);
  }
  return out;
}

}  // namespace

std::vector<RetrievedCaptions> retrieved_captions(const Embeddings& embeddings, const std::vector<std::int64_t>& rows) {
  std::vector<RetrievedCaptions> all;
  for (const auto row : rows) {
    const auto scores = at::matmul(embeddings.text, embeddings.image[row]).to(at::kFloat).cpu().contiguous();
    all.push_back(retrieved(embeddings, row, scores.const_data_ptr<float>()));
  }
  return all;
}

}  // namespace vlalign
