#include "tokenizers/unigram_pieces.hpp"

#include <algorithm>

#include "core/check.hpp"
#include "text/unicode_text.hpp"

namespace vlalign {

UnigramPieces::UnigramPieces(std::vector<std::pair<std::string, double>> pieces, std::int64_t unknown_id)
    : pieces_(std::move(pieces)), unknown_id_(unknown_id) {
  constexpr double unknown_penalty = 10;  // below the least likely piece, as in SentencePiece
  check(unknown_id >= 0 && unknown_id < size(), "unk_id is {}; the vocabulary has {} entries", unknown_id, size());
  double lowest = pieces_[0].second;
  for (const auto& [text, score] : pieces_) {
    const auto [first, is_new] = ids_.emplace(text, static_cast<std::int64_t>(ids_.size()));
    check(is_new, "entry {}: '{}' is entry {} already", ids_.size() + 1, text, first->second + 1);
    longest_ = std::max(longest_, text.size());
    lowest = std::min(lowest, score);
  }
  unknown_score_ = lowest - unknown_penalty;
}

std::vector<UnigramPieces::Node> UnigramPieces::best_paths(std::string_view word) const {
  std::vector<Node> ends(word.size() + 1);
  const auto offer = [&](std::size_t start, std::size_t end, std::int64_t id, double score) {
    const auto total = ends[start].score + score;
    if (ends[end].id < 0 || total > ends[end].score) ends[end] = {total, id, start};
  };
  for (std::size_t start = 0; start < word.size();) {
    const auto next = start + static_cast<std::size_t>(first_code_point(word.substr(start)).length);
    bool is_piece = false;
    const auto limit = std::min(word.size(), start + longest_);
    for (auto end = next; end <= limit;) {
      const auto found = ids_.find(word.substr(start, end - start));
      if (found != ids_.end()) {
        offer(start, end, found->second, pieces_[static_cast<std::size_t>(found->second)].second);
        is_piece = is_piece || end == next;
      }
      end += end < word.size() ? static_cast<std::size_t>(first_code_point(word.substr(end)).length) : 1;
    }
    if (!is_piece) offer(start, next, unknown_id_, unknown_score_);
    start = next;
  }
  return ends;
}

void UnigramPieces::append_word(std::string_view word, std::vector<std::int64_t>& ids) const {
  const auto ends = best_paths(word);
  const auto first = static_cast<std::ptrdiff_t>(ids.size());
  for (auto end = word.size(); end > 0; end = ends[end].start) {
    const bool repeats = static_cast<std::ptrdiff_t>(ids.size()) > first && ids.back() == unknown_id_;
    if (ends[end].id != unknown_id_ || !repeats) ids.push_back(ends[end].id);
  }
  std::reverse(ids.begin() + first, ids.end());
}

}  // namespace vlalign
