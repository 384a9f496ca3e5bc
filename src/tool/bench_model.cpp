#include "tool/bench_model.hpp"

#include <ATen/ops/randint.h>
#include <fmt/format.h>

#include "core/check.hpp"
#include "core/io/files.hpp"
#include "tokenizers/word_piece_tokenizer.hpp"
#include "vlalign/model/peers/read_config.hpp"
#include "vlalign/model/presets.hpp"
#include "vlalign/model/quantize.hpp"
#include "vlalign/tokenizers/tokenizer.hpp"

namespace vlalign::tool {
namespace {

/// Entries that no text has, and the special tokens where the tower looks for them: so that each word is [UNK].
std::shared_ptr<const Tokenizer> made_up_tokenizer(const ModelConfig& config) {
  const auto& text = config.text;
  constexpr std::int64_t least = 5;
  check(text.vocab_size >= least, "model {}: expected a vocabulary of {} entries or more, got {}", config.name, least,
        text.vocab_size);
  std::vector<std::string> words;
  for (std::int64_t id = 0; id < text.vocab_size; ++id) words.push_back(fmt::format("[{}]", id));
  const auto last = text.vocab_size - 1;  // the largest id, at which CLIP's towers pool
  const bool named_end = text.pool == TextConfig::Pool::end_token && text.end_id >= 0 && text.end_id <= last;
  const auto end = named_end ? text.end_id : last;
  const auto pad = text.pad_id >= 0 && text.pad_id <= last && text.pad_id != end ? text.pad_id : end == 0 ? 1 : 0;
  words[static_cast<std::size_t>(end)] = "[SEP]";
  words[static_cast<std::size_t>(pad)] = "[PAD]";
  std::size_t free = 0;
  for (const auto* token : {"[CLS]", "[UNK]"}) {
    while (words[free] == "[SEP]" || words[free] == "[PAD]") ++free;
    words[free++] = token;
  }
  return std::make_shared<const WordPieceTokenizer>(std::move(words));
}

}  // namespace

BenchModel make_bench_model(const std::string& name) {
  if (is_folder(name)) return {DualEncoder::load(name), "the model's"};
  check(name.find('/') == name.npos || name.ends_with(".json"), "{}: no such model folder", name);
  const auto config = name.ends_with(".json") ? read_model_config(name) : preset(name);
  const bool own = config.text.own_vocabulary;
  return {DualEncoder::create(config, own ? made_up_tokenizer(config) : nullptr), own ? "made up" : "CLIP's"};
}

void prepare_with_noise(const DualEncoder& model) {
  if (!model.int8_columns().empty()) return;
  const auto& config = model.config();
  const auto side = config.preprocess.image_size;
  const auto pixels = at::randint(0, 256, {8, 3, side, side}, at::kByte);
  const auto tokens =
      tokenize(*model.tokenizer(), std::vector<std::string>(8, "a red cup"), config.text.context_length);
  quantize(model, pixels, tokens, {.cosine = 0});
}

}  // namespace vlalign::tool
