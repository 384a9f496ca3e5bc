#include <algorithm>

#include "core/check.hpp"
#include "core/io/files.hpp"
#include "core/naming.hpp"
#include "tokenizers/byte_alphabet.hpp"
#include "tokenizers/load_kinds.hpp"
#include "tokenizers/tiktoken_tokenizer.hpp"
#include "tokenizers/tokenizer_config.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

TokenizerPointer make_tiktoken(const fs::path& file, const TiktokenOptions& options) {
  auto tokens = read_tiktoken(file);
  return naming(file.string(), [&] { return std::make_shared<const TiktokenTokenizer>(std::move(tokens), options); });
}

// The ids of GPT-2's vocabulary are r50k_base's ranks, the end token's apart.
TokenizerPointer make_of_gpt2(const BpeTables& bpe, const TiktokenOptions& options) {
  return naming(bpe.file.string(), [&] {
    const ByteLevelBpe vocabulary(bpe.merges, bpe.vocabulary, WordEnd::unmarked);
    TokenRanks tokens;
    for (std::int64_t id = 0; id < vocabulary.size(); ++id) tokens.push_back(vocabulary.bytes_of(id));
    check(!tokens.empty() && tokens.back() == "<|endoftext|>", "expected <|endoftext|> as the last entry");
    tokens.pop_back();
    return std::make_shared<const TiktokenTokenizer>(std::move(tokens), options);
  });
}

TiktokenOptions read_tiktoken_options(const TokenizerSource& source) {
  TiktokenOptions options;
  const auto& text = source.open_clip ? source.text_cfg : source.config;
  const auto kwargs = tokenizer_kwargs(source.text_cfg);
  options.encoding = special_token(text, "tiktoken_name", options.encoding);
  options.add_start = kwargs.value("add_bos", source.config.value("add_bos", true));
  options.add_end = kwargs.value("add_eos", source.config.value("add_eos", true));
  return options;
}

}  // namespace

TokenizerPointer load_tiktoken(const TokenizerSource& source) {
  const auto options = naming(source.folder.string(), [&] {
    auto read = read_tiktoken_options(source);
    check(is_tiktoken_encoding(read.encoding),
          "tiktoken_name: r50k_base, gpt2, p50k_base and cl100k_base are read here, got {}", read.encoding);
    return read;
  });
  const auto name = options.encoding + ".tiktoken";
  for (const auto& folder : {source.folder, share_folder()}) {
    if (is_there(folder / name)) return make_tiktoken(folder / name, options);
  }
  const bool is_gpt2s = options.encoding == "r50k_base" || options.encoding == "gpt2";
  const bool has_gpt2s = has_file(source, "vocab.json") && has_file(source, "merges.txt");
  check(is_gpt2s && has_gpt2s,
        "{}: expected {} in this folder, or in the one that VLALIGN_SHARE names: tiktoken's vocabulary is not part of "
        "a model",
        source.folder.string(), name);
  auto files = source;
  files.tokenizer = nullptr;
  return make_of_gpt2(read_bpe(files), options);
}

TokenizerPointer load_tiktoken_file(const fs::path& file) {
  return make_tiktoken(file, {.encoding = file.stem().string()});
}

}  // namespace vlalign
