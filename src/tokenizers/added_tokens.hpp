// Finds the texts that stand for one id of their own, before and after a caption is normalized.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizers/added_token.hpp"

namespace vlalign {

class AddedTokens {
 public:
  /// Throws Error for a token without text, or with an id that isn't below vocab_size.
  AddedTokens(std::vector<AddedToken> tokens, std::int64_t vocab_size);

  const std::vector<AddedToken>& all() const { return tokens_; }
  bool is_special(std::int64_t id) const;

  /// Calls `token` for each of them in `text` and `plain` for the text before, between and behind them, which
  /// `normalize` has gone over. The leftmost comes first, of several that begin there the longest.
  void visit(std::string_view text, const std::function<std::string(std::string_view)>& normalize,
             const std::function<void(std::string_view)>& plain,
             const std::function<void(const AddedToken&)>& token) const;

 private:
  using Found = std::function<void(const AddedToken&)>;
  const AddedToken* longest_at(std::string_view text, bool normalized) const;
  void split(std::string_view text, bool normalized, const std::function<void(std::string_view)>& plain,
             const Found& token) const;

  std::vector<AddedToken> tokens_;
  std::array<std::vector<std::uint32_t>, 256> by_first_byte_;  // places in tokens_
};

}  // namespace vlalign
