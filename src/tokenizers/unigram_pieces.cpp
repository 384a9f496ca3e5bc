#include "tokenizers/unigram_pieces.hpp"

#include <algorithm>
#include <limits>

#include "core/check.hpp"
#include "text/unicode_text.hpp"

namespace vlalign {

UnigramPieces::UnigramPieces(const std::vector<ScoredPiece>& pieces, std::int64_t unknown_id)
    : unknown_id_(unknown_id) {
  constexpr double unknown_penalty = 10;  // below the least likely piece, as in SentencePiece
  check(unknown_id >= 0 && unknown_id < static_cast<std::int64_t>(pieces.size()),
        "unk_id is {}; the vocabulary has {} entries", unknown_id, pieces.size());
  std::size_t bytes = 0;
  for (const auto& piece : pieces) bytes += piece.first.size();
  check(bytes <= std::numeric_limits<std::uint32_t>::max(), "the pieces have {} bytes, more than is read here", bytes);
  texts_.reserve(bytes);
  starts_.reserve(pieces.size() + 1);
  scores_.reserve(pieces.size());
  double lowest = pieces[0].second;
  for (const auto& [text, score] : pieces) {
    const auto first = trie_.add(text, static_cast<std::int32_t>(scores_.size()));
    check(first < 0, "entry {}: '{}' is entry {} already", scores_.size() + 1, text, first + 1);
    starts_.push_back(static_cast<std::uint32_t>(texts_.size()));
    texts_ += text;
    scores_.push_back(score);
    lowest = std::min(lowest, score);
  }
  starts_.push_back(static_cast<std::uint32_t>(texts_.size()));
  unknown_score_ = lowest - unknown_penalty;
}

std::string_view UnigramPieces::text(std::int64_t id) const {
  const auto place = static_cast<std::size_t>(id);
  return std::string_view(texts_).substr(starts_[place], starts_[place + 1] - starts_[place]);
}

std::int64_t UnigramPieces::id_of(std::string_view text) const {
  auto node = PieceTrie::root;
  for (const char c : text) {
    node = trie_.child(node, c);
    if (node == PieceTrie::none) return -1;
  }
  return trie_.id(node);
}

void UnigramPieces::find_best_paths(std::string_view word, std::vector<Node>& ends) const {
  ends.assign(word.size() + 1, {});
  const auto offer = [&](std::size_t start, std::size_t end, std::int64_t id, double score) {
    const auto total = ends[start].score + score;
    if (ends[end].id < 0 || total > ends[end].score) ends[end] = {total, id, start};
  };
  for (std::size_t start = 0; start < word.size();) {
    const auto next = start + static_cast<std::size_t>(first_code_point(word.substr(start)).length);
    bool is_piece = false;
    auto node = PieceTrie::root;
    for (auto end = start; end < word.size();) {
      node = trie_.child(node, word[end]);
      if (node == PieceTrie::none) break;
      ++end;
      const auto id = trie_.id(node);
      if (id < 0) continue;
      offer(start, end, id, scores_[static_cast<std::size_t>(id)]);
      is_piece = is_piece || end == next;
    }
    if (!is_piece) offer(start, next, unknown_id_, unknown_score_);
    start = next;
  }
}

void UnigramPieces::append_word(std::string_view word, std::vector<std::int64_t>& ids) const {
  thread_local std::vector<Node> ends;
  find_best_paths(word, ends);
  const auto first = static_cast<std::ptrdiff_t>(ids.size());
  for (auto end = word.size(); end > 0; end = ends[end].start) {
    const bool repeats = static_cast<std::ptrdiff_t>(ids.size()) > first && ids.back() == unknown_id_;
    if (ends[end].id != unknown_id_ || !repeats) ids.push_back(ends[end].id);
  }
  std::reverse(ids.begin() + first, ids.end());
  constexpr std::size_t kept = 1 << 16;  // nodes of an unusually long word go again
  if (ends.capacity() > kept) std::vector<Node>().swap(ends);
}

}  // namespace vlalign
