// The words of the patterns of byte-level tokenizers.
#pragma once

#include <cstddef>
#include <string_view>

namespace vlalign {

/// The next word of GPT-2's pattern (tiktoken's r50k_base) from `position` on, which moves behind it; empty at the end
/// of the text:
/// 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
std::string_view next_gpt2_word(std::string_view text, std::size_t& position);

/// The same for transformers' CLIPTokenizer, without white space:
/// <\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+
std::string_view next_clip_word(std::string_view text, std::size_t& position);

/// The same for tiktoken's cl100k_base, where the contractions' letters may be capitals:
/// 's|'t|'re|'ve|'m|'ll|'d|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s+$|\s*[\r\n]|\s+(?!\S)|\s
std::string_view next_cl100k_word(std::string_view text, std::size_t& position);

}  // namespace vlalign
