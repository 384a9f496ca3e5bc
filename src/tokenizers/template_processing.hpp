// The tokens around a caption, as tokenizer.json's post_processor has them.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace vlalign {

struct TokenText {
  std::string text;
  std::int64_t id = 0;
};

struct CaptionEnds {
  std::vector<TokenText> before = {}, after = {};
};

/// Of TemplateProcessing, RobertaProcessing or BertProcessing; nothing for null and ByteLevel. Throws Error for
/// another.
CaptionEnds read_post_processor(const nlohmann::json& processor);

/// TemplateProcessing with them around each caption of a pair.
nlohmann::json template_json(const CaptionEnds& ends);

}  // namespace vlalign
