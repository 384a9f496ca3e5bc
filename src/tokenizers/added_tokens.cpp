#include "tokenizers/added_tokens.hpp"

#include <algorithm>
#include <utility>

#include "core/check.hpp"
#include "text/unicode_text.hpp"
#include "tokenizers/hugging_face_text.hpp"

namespace vlalign {
namespace {

bool is_space_at(std::string_view text, std::size_t position) {
  return is_white_space(first_code_point(text.substr(position)).value);
}

std::size_t end_of_spaces(std::string_view text, std::size_t position) {
  while (position < text.size() && is_space_at(text, position)) {
    position += static_cast<std::size_t>(first_code_point(text.substr(position)).length);
  }
  return position;
}

std::size_t start_of_spaces(std::string_view text, std::size_t position, std::size_t limit) {
  const auto is_trail = [&](std::size_t i) { return (static_cast<unsigned char>(text[i]) & 0xC0) == 0x80; };
  while (position > limit) {
    auto previous = position - 1;
    while (previous > limit && is_trail(previous)) --previous;
    if (!is_space_at(text, previous)) break;
    position = previous;
  }
  return position;
}

}  // namespace

AddedTokens::AddedTokens(std::vector<AddedToken> tokens, std::int64_t vocab_size) : tokens_(std::move(tokens)) {
  for (std::uint32_t place = 0; place < tokens_.size(); ++place) {
    const auto& token = tokens_[place];
    check(token.id >= 0 && token.id < vocab_size,
          "the added token '{}' has the id {}; the vocabulary's go from 0 to {}", token.text, token.id, vocab_size - 1);
    check(!token.text.empty(), "the added token with the id {} is empty", token.id);
    by_first_byte_[static_cast<unsigned char>(token.text[0])].push_back(place);
  }
}

bool AddedTokens::is_special(std::int64_t id) const {
  return std::any_of(tokens_.begin(), tokens_.end(),
                     [&](const auto& token) { return token.id == id && token.special; });
}

void AddedTokens::visit(std::string_view text, const std::function<std::string(std::string_view)>& normalize,
                        const std::function<void(std::string_view)>& plain, const Found& token) const {
  split(
      text, false, [&](std::string_view piece) { split(normalize(piece), true, plain, token); }, token);
}

const AddedToken* AddedTokens::longest_at(std::string_view text, bool normalized) const {
  const AddedToken* longest = nullptr;
  for (const auto place : by_first_byte_[static_cast<unsigned char>(text[0])]) {
    const auto& token = tokens_[place];
    const bool is_longer = longest == nullptr || token.text.size() > longest->text.size();
    if (token.normalized == normalized && is_longer && text.starts_with(token.text)) longest = &token;
  }
  return longest;
}

void AddedTokens::split(std::string_view text, bool normalized, const std::function<void(std::string_view)>& plain,
                        const Found& token) const {
  std::size_t plain_start = 0;
  std::size_t position = 0;
  while (position < text.size()) {
    const auto* found = longest_at(text.substr(position), normalized);
    if (found == nullptr) {
      ++position;
      continue;
    }
    const auto plain_end = found->strip_left ? start_of_spaces(text, position, plain_start) : position;
    if (plain_end > plain_start) plain(text.substr(plain_start, plain_end - plain_start));
    token(*found);
    position += found->text.size();
    if (found->strip_right) position = end_of_spaces(text, position);
    plain_start = position;
  }
  if (plain_start < text.size()) plain(text.substr(plain_start));
}

}  // namespace vlalign
