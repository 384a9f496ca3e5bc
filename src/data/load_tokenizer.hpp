// Finds out which tokenizer a folder holds.
#pragma once

#include <filesystem>

namespace vlalign {

/// Whether load_tokenizer would find a tokenizer's files in the folder.
bool holds_tokenizer(const std::filesystem::path& folder);

}  // namespace vlalign
