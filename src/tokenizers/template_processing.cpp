#include "tokenizers/template_processing.hpp"

#include <nlohmann/json.hpp>

#include "core/check.hpp"
#include "core/json/python_json.hpp"
#include "tokenizers/tokenizer_config.hpp"

namespace vlalign {
namespace {

using nlohmann::json;

std::int64_t template_id(const json& processor, const std::string& token) {
  const auto& ids = processor.at("special_tokens").at(token).at("ids");
  check(ids.size() == 1, "post_processor: expected one id for '{}', got {}", token, shown(ids));
  return parse_id(ids[0]);
}

CaptionEnds read_single(const json& processor) {
  CaptionEnds ends;
  bool is_behind = false;
  for (const auto& item : processor.at("single")) {
    const bool is_caption = item.contains("Sequence");
    check(!is_caption || !is_behind, "post_processor: expected one caption, got {}", shown(processor.at("single")));
    is_behind = is_behind || is_caption;
    if (is_caption) continue;
    const auto token = item.at("SpecialToken").at("id").get<std::string>();
    (is_behind ? ends.after : ends.before).push_back({token, template_id(processor, token)});
  }
  return ends;
}

json part_json(const CaptionEnds& ends, const char* sequence, int type) {
  auto part = json::array();
  const auto add = [&](const std::vector<TokenText>& tokens) {
    for (const auto& token : tokens) part.push_back({{"SpecialToken", {{"id", token.text}, {"type_id", type}}}});
  };
  add(ends.before);
  part.push_back({{"Sequence", {{"id", sequence}, {"type_id", type}}}});
  add(ends.after);
  return part;
}

}  // namespace

CaptionEnds read_post_processor(const json& processor) {
  if (processor.is_null()) return {};
  const auto type = processor.at("type").get<std::string>();
  if (type == "ByteLevel") return {};
  if (type == "TemplateProcessing") return read_single(processor);
  check(type == "RobertaProcessing" || type == "BertProcessing",
        "post_processor: expected TemplateProcessing, RobertaProcessing or BertProcessing, got {}", type);
  const auto token = [&](const char* key) -> TokenText {
    return {processor.at(key).at(0).get<std::string>(), parse_id(processor.at(key).at(1))};
  };
  return {{token("cls")}, {token("sep")}};
}

json template_json(const CaptionEnds& ends) {
  auto tokens = json::object();
  for (const auto* side : {&ends.before, &ends.after}) {
    for (const auto& [text, id] : *side) tokens[text] = {{"id", text}, {"ids", {id}}, {"tokens", {text}}};
  }
  const auto single = part_json(ends, "A", 0);
  auto pair = single;
  for (auto& item : part_json(ends, "B", 1)) pair.push_back(item);
  return {{"type", "TemplateProcessing"}, {"single", single}, {"pair", pair}, {"special_tokens", tokens}};
}

}  // namespace vlalign
