// A tokenizer whose ids a test can read.
#pragma once

#include <algorithm>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "vlalign/tokenizers/tokenizer.hpp"

namespace vlalign::test {

/// The bytes of a text between 1 (start) and 2 (end), padded with 0.
class ByteTokenizer : public Tokenizer {
 public:
  std::vector<std::int64_t> encode(std::string_view text, std::int64_t length) const override {
    std::vector<std::int64_t> ids{1};
    for (const char c : text) ids.push_back(static_cast<unsigned char>(c));
    ids.resize(std::min(ids.size(), static_cast<std::size_t>(length) - 1));
    ids.push_back(2);
    return ids;
  }
  std::string decode(std::span<const std::int64_t> ids) const override {
    std::string text;
    for (const auto id : ids) {
      if (id > 2) text.push_back(static_cast<char>(id));
    }
    return text;
  }
  std::int64_t vocab_size() const override { return 256; }
  std::int64_t pad_id() const override { return 0; }
  std::int64_t end_id() const override { return 2; }
  void save(const std::filesystem::path&) const override {}
};

}  // namespace vlalign::test
