#include "model/peers/known_text_towers.hpp"

#include <algorithm>
#include <iterator>

#include "core/check.hpp"
#include "core/json/parse_json.hpp"

namespace vlalign {
namespace {

struct KnownTextTower {
  std::string_view owner, name;  ///< of a model under both, or under the name alone where it is an old one
  bool old;
  std::string_view keys;
};

constexpr KnownTextTower known_towers[] = {
    {"google-bert", "bert-base-uncased", true, R"("model_type": "bert", "vocab_size": 30522)"},
    {"google-bert", "bert-base-cased", true, R"("model_type": "bert", "vocab_size": 28996)"},
    {"google-bert", "bert-base-chinese", true, R"("model_type": "bert", "vocab_size": 21128)"},
    {"google-bert", "bert-base-multilingual-cased", true, R"("model_type": "bert", "vocab_size": 119547)"},
    {"FacebookAI", "roberta-base", true,
     R"("model_type": "roberta", "vocab_size": 50265, "max_position_embeddings": 514, "type_vocab_size": 1,
        "layer_norm_eps": 1e-5)"},
    {"FacebookAI", "roberta-large", true,
     R"("model_type": "roberta", "vocab_size": 50265, "max_position_embeddings": 514, "type_vocab_size": 1,
        "layer_norm_eps": 1e-5, "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24,
        "num_attention_heads": 16)"},
    {"FacebookAI", "xlm-roberta-base", true,
     R"("model_type": "xlm-roberta", "vocab_size": 250002, "max_position_embeddings": 514, "type_vocab_size": 1,
        "layer_norm_eps": 1e-5)"},
    {"FacebookAI", "xlm-roberta-large", true,
     R"("model_type": "xlm-roberta", "vocab_size": 250002, "max_position_embeddings": 514, "type_vocab_size": 1,
        "layer_norm_eps": 1e-5, "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24,
        "num_attention_heads": 16)"},
    {"google-t5", "t5-small", true, R"("model_type": "t5")"},
    {"google-t5", "t5-base", true,
     R"("model_type": "t5", "d_model": 768, "d_ff": 3072, "num_layers": 12, "num_heads": 12)"},
    {"google", "mt5-small", false, R"("model_type": "mt5")"},
    {"google", "mt5-base", false,
     R"("model_type": "mt5", "d_model": 768, "d_ff": 2048, "num_layers": 12, "num_heads": 12)"},
    {"google", "mt5-large", false,
     R"("model_type": "mt5", "d_model": 1024, "d_ff": 2816, "num_layers": 24, "num_heads": 16)"},
    {"google", "mt5-xl", false,
     R"("model_type": "mt5", "d_model": 2048, "d_ff": 5120, "num_layers": 24, "num_heads": 32)"},
    {"facebook", "nllb-200-distilled-600M", false, R"("model_type": "m2m_100", "vocab_size": 256206)"},
    {"facebook", "nllb-200-distilled-1.3B", false,
     R"("model_type": "m2m_100", "vocab_size": 256206, "encoder_layers": 24, "encoder_ffn_dim": 8192)"}};

}  // namespace

std::optional<nlohmann::json> known_text_tower(std::string_view name) {
  const auto* found = std::find_if(std::begin(known_towers), std::end(known_towers), [&](const auto& tower) {
    return (tower.old && name == tower.name) || name == fmt::format("{}/{}", tower.owner, tower.name);
  });
  if (found == std::end(known_towers)) return std::nullopt;
  return parse_json(fmt::format("{{{}}}", found->keys), std::string(name));
}

std::vector<std::string> known_text_tower_names() {
  std::vector<std::string> names;
  for (const auto& [owner, name, old, keys] : known_towers)
    names.push_back(old ? std::string(name) : fmt::format("{}/{}", owner, name));
  return names;
}

}  // namespace vlalign
