// Files of byte-pair merges: merges.txt, and CLIP's bpe_simple_vocab_16e6.txt.gz.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string_view>
#include <vector>

#include "tokenizers/byte_level_bpe.hpp"

namespace vlalign {

/// Two symbols with a space between them.
Merge parse_merge(std::string_view line);

/// At most `limit` merges of a text or gzip file, one a line behind the first, which tells the version.
std::vector<Merge> read_merges(const std::filesystem::path& file, std::size_t limit);

}  // namespace vlalign
