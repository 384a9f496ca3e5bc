// The words of two patterns of Hugging Face's byte-level tokenizers.
#pragma once

#include <cstddef>
#include <string_view>

namespace vlalign {

/// The next word of GPT-2's pattern from `position` on, which moves behind it; empty at the end of the text:
/// 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
std::string_view next_gpt2_word(std::string_view text, std::size_t& position);

/// The same for transformers' CLIPTokenizer, without white space:
/// <\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+
std::string_view next_clip_word(std::string_view text, std::size_t& position);

}  // namespace vlalign
