// The best segmentation of a word under a unigram language model.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tokenizers/text_ids.hpp"

namespace vlalign {

class UnigramPieces {
 public:
  /// Pieces with their log probabilities; the id of a piece is its place.
  UnigramPieces(std::vector<std::pair<std::string, double>> pieces, std::int64_t unknown_id);

  /// Appends the ids of the pieces whose scores have the largest sum (Viterbi). Of equal sums the path counts whose
  /// last piece begins first. Neighbouring characters without a piece become one unknown id.
  void append_word(std::string_view word, std::vector<std::int64_t>& ids) const;

  std::int64_t size() const { return static_cast<std::int64_t>(pieces_.size()); }
  const std::string& text(std::int64_t id) const { return pieces_[static_cast<std::size_t>(id)].first; }
  const TextIds& ids() const { return ids_; }

 private:
  struct Node {
    double score = 0;
    std::int64_t id = -1;  // of the best piece that ends here, -1 before there is one
    std::size_t start = 0;
  };
  std::vector<Node> best_paths(std::string_view word) const;

  std::vector<std::pair<std::string, double>> pieces_;
  TextIds ids_;
  std::int64_t unknown_id_;
  std::size_t longest_ = 0;
  double unknown_score_ = 0;
};

}  // namespace vlalign
