#include "tokenizers/gemma_files.hpp"

#include "core/check.hpp"
#include "core/json/python_json.hpp"
#include "tokenizers/template_processing.hpp"
#include "tokenizers/tokenizer_config.hpp"

namespace vlalign {
namespace {

using nlohmann::json;

json lowercase_json() { return {{"type", "Lowercase"}}; }

json replace_space_json() { return {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "\u2581"}}; }

json split_at_space_json() {
  return {{"type", "Split"}, {"pattern", {{"String", " "}}}, {"behavior", "MergedWithPrevious"}, {"invert", false}};
}

json part_of(const json& tokenizer, const char* name) {
  const auto found = tokenizer.find(name);
  return found == tokenizer.end() ? json() : *found;
}

bool is_set(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && !found->is_null() && *found != false && *found != "" && *found != 0.0;
}

void check_model(const json& model) {
  check(is_set(model, "byte_fallback"), "model.byte_fallback: expected true, as Gemma's and SigLIP 2's");
  for (const auto* key : {"dropout", "continuing_subword_prefix", "end_of_word_suffix", "ignore_merges"}) {
    check(!is_set(model, key), "model.{}: expected none, as Gemma's and SigLIP 2's, got {}", key, shown(model.at(key)));
  }
}

bool read_lower_case(const json& normalizer) {
  const bool is_sequence = normalizer.is_object() && normalizer.value("type", "") == "Sequence";
  bool lower_case = false, replaces_space = false;
  for (const auto& step : is_sequence ? normalizer.at("normalizers") : json::array({normalizer})) {
    lower_case = lower_case || step == lowercase_json();
    replaces_space = replaces_space || step == replace_space_json();
    check(step == lowercase_json() || step == replace_space_json(),
          "normalizer: expected {}, with or without {}, got {}", shown(replace_space_json()), shown(lowercase_json()),
          shown(step));
  }
  check(replaces_space, "normalizer: {} is missing", shown(replace_space_json()));
  return lower_case;
}

// Of Gemma's, at most one at each end.
CaptionEnds read_ends(const json& processor) {
  const auto ends = read_post_processor(processor);
  check(ends.after.size() == 1, "post_processor: expected an end token behind the caption, as SigLIP 2's has, got {}",
        processor.is_null() ? "none" : processor.at("type").get<std::string>());
  check(ends.before.size() <= 1, "post_processor: expected a caption with a token before and behind it, got {}",
        shown(processor));
  return ends;
}

}  // namespace

GemmaTokenizerOptions read_gemma_options(const json& config, const json& tokenizer) {
  GemmaTokenizerOptions options;
  options.start_token = special_token(config, "bos_token", options.start_token);
  options.end_token = special_token(config, "eos_token", options.end_token);
  options.pad_token = special_token(config, "pad_token", options.pad_token);
  options.unknown_token = special_token(config, "unk_token", options.unknown_token);
  check_model(tokenizer.at("model"));
  options.lower_case = read_lower_case(part_of(tokenizer, "normalizer"));
  const auto words = part_of(tokenizer, "pre_tokenizer");
  check(words.is_null() || words == split_at_space_json(), "pre_tokenizer: expected {}, got {}",
        shown(split_at_space_json()), shown(words));
  const auto ends = read_ends(part_of(tokenizer, "post_processor"));  // not the configuration's add_eos_token
  options.end_token = ends.after[0].text;
  options.add_start_token = !ends.before.empty();
  if (options.add_start_token) options.start_token = ends.before[0].text;
  return options;
}

json gemma_config_json(const GemmaTokenizerOptions& options) {
  return {{"tokenizer_class", options.lower_case ? "Siglip2Tokenizer" : "GemmaTokenizer"},
          {"bos_token", options.start_token},
          {"eos_token", options.end_token},
          {"pad_token", options.pad_token},
          {"unk_token", options.unknown_token},
          {"add_bos_token", options.add_start_token},
          {"add_eos_token", true},
          {"padding_side", "right"}};
}

json gemma_tokenizer_json(const GemmaTokenizerOptions& options, std::int64_t start_id, std::int64_t end_id) {
  const json lower_and_replace{{"type", "Sequence"}, {"normalizers", {lowercase_json(), replace_space_json()}}};
  const json to_space{{"type", "Replace"}, {"pattern", {{"String", "\u2581"}}}, {"content", " "}};
  const auto decoders = json::array({to_space, {{"type", "ByteFallback"}}, {{"type", "Fuse"}}});
  CaptionEnds ends{.after = {{options.end_token, end_id}}};
  if (options.add_start_token) ends.before = {{options.start_token, start_id}};
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"normalizer", options.lower_case ? lower_and_replace : replace_space_json()},
          {"pre_tokenizer", split_at_space_json()},
          {"post_processor", template_json(ends)},
          {"decoder", {{"type", "Sequence"}, {"decoders", decoders}}},
          {"model",
           {{"type", "BPE"},
            {"dropout", nullptr},
            {"unk_token", options.unknown_token},
            {"continuing_subword_prefix", nullptr},
            {"end_of_word_suffix", nullptr},
            {"fuse_unk", true},
            {"byte_fallback", true},
            {"ignore_merges", false}}}};
}

}  // namespace vlalign
