// What BERT does to a caption before looking its words up.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace vlalign {

struct BertNormalization {
  bool lower_case = true;
  bool strip_accents = true;
  bool split_chinese_characters = true;
};

/// As BertNormalizer of Hugging Face's tokenizers library, whose character classes are those of Unicode 8.
std::string normalize_for_bert(std::string_view text, const BertNormalization& how);

/// The next word of normalized text from `position` on, which moves behind it: a punctuation character or a run of
/// anything that is neither punctuation nor white space. Empty at the end of the text.
std::string_view next_bert_word(std::string_view text, std::size_t& position);

}  // namespace vlalign
