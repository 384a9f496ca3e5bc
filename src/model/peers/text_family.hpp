// transformers' text towers.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string_view>

#include "core/json/json_section.hpp"
#include "model/peers/peer_names.hpp"
#include "vlalign/config/model_config.hpp"

namespace vlalign {

/// One family of them: folders of their own, and parts of whole models. Its file adds it to text_families().
struct TextFamily {
  std::string_view model_type;
  TextConfig (*read)(JsonSection& section);
  bool (*holds)(const TextConfig& text);
  nlohmann::json (*write)(const TextConfig& text);   ///< the keys that read() takes
  NamingSchemes (*schemes)(const TextConfig& text);  ///< names relative to the tower, in both
  std::string_view wrapper;  ///< what stands before the names in a language model on such a tower: "bert."
  /// Of an encoder-decoder: the table of words, which its folder may hold once for both sides, as "shared.weight".
  std::string_view shared = {};
};

std::span<const TextFamily* const> text_families();

/// Null where none is of that type or holds the tower.
const TextFamily* text_family_of_type(std::string_view model_type);
const TextFamily* text_family_of(const TextConfig& text);

// The families, each in its own file.
extern const TextFamily text_bert, text_gpt2, text_roberta, text_xlm_roberta, text_t5, text_mt5, text_nllb, text_clip,
    text_siglip;

}  // namespace vlalign
