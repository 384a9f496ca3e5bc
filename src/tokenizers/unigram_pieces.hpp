// The best segmentation of a word under a unigram language model.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizers/piece_trie.hpp"
#include "tokenizers/tokenizer_json.hpp"

namespace vlalign {

class UnigramPieces {
 public:
  /// Pieces with their log probabilities; the id of a piece is its place. Throws Error for a piece that is there twice.
  UnigramPieces(const std::vector<ScoredPiece>& pieces, std::int64_t unknown_id);

  /// Appends the ids of the pieces whose scores have the largest sum (Viterbi). Of equal sums the path counts whose
  /// last piece begins first. Neighbouring characters without a piece become one unknown id.
  void append_word(std::string_view word, std::vector<std::int64_t>& ids) const;

  std::int64_t size() const { return static_cast<std::int64_t>(scores_.size()); }
  std::int64_t unknown_id() const { return unknown_id_; }
  double score(std::int64_t id) const { return scores_[static_cast<std::size_t>(id)]; }
  std::string_view text(std::int64_t id) const;
  std::int64_t id_of(std::string_view text) const;  ///< -1 where it is no piece

 private:
  struct Node {
    double score = 0;
    std::int64_t id = -1;  // of the best piece that ends here, -1 before there is one
    std::size_t start = 0;
  };
  void find_best_paths(std::string_view word, std::vector<Node>& ends) const;

  std::string texts_;                  // one behind the other
  std::vector<std::uint32_t> starts_;  // of each in texts_, and the end
  std::vector<double> scores_;
  PieceTrie trie_;
  std::int64_t unknown_id_;
  double unknown_score_ = 0;
};

}  // namespace vlalign
