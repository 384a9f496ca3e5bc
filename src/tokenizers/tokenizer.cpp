#include "vlalign/tokenizers/tokenizer.hpp"

#include <ATen/ops/full.h>

#include <algorithm>

namespace vlalign {

at::Tensor tokenize(const Tokenizer& tokenizer, std::span<const std::string> captions, std::int64_t context_length) {
  std::vector<std::vector<std::int64_t>> rows;
  rows.reserve(captions.size());
  std::size_t longest = 0;
  for (const auto& caption : captions) {
    rows.push_back(tokenizer.encode(caption, context_length));
    longest = std::max(longest, rows.back().size());
  }
  auto tokens = at::full({static_cast<std::int64_t>(rows.size()), static_cast<std::int64_t>(longest)},
                         tokenizer.pad_id(), at::TensorOptions(at::kLong));
  auto* row_start = tokens.mutable_data_ptr<std::int64_t>();
  for (const auto& row : rows) {
    std::copy(row.begin(), row.end(), row_start);
    row_start += longest;
  }
  return tokens;
}

}  // namespace vlalign
