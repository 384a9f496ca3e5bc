// The tokenizer that a config names. Internal.
#pragma once

#include <string>

namespace vlalign {

/// The name on Hugging Face of the tokenizer that a preset, or a model config (.json), of open_clip's asks for; empty
/// where it names none.
std::string named_tokenizer(const std::string& model);

}  // namespace vlalign
