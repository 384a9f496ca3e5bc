#include "model/peers/sentence_transformers.hpp"

#include <string_view>

#include "core/check.hpp"
#include "core/io/files.hpp"
#include "core/json/json_section.hpp"
#include "core/json/parse_json.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;
using SentencePool = TextConfig::Pool;

constexpr std::pair<std::string_view, SentencePool> sentence_pools[] = {
    {"cls", SentencePool::first}, {"mean", SentencePool::mean}, {"max", SentencePool::max}};

/// The one mode that is on: of today's "pooling_mode", or of a switch each.
std::string pooling_mode(JsonSection& section) {
  constexpr std::pair<const char*, const char*> switches[] = {
      {"pooling_mode_cls_token", "cls"},
      {"pooling_mode_mean_tokens", "mean"},
      {"pooling_mode_max_tokens", "max"},
      {"pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens"},
      {"pooling_mode_weightedmean_tokens", "weightedmean"},
      {"pooling_mode_lasttoken", "lasttoken"}};
  const auto named = section.get<std::string>("pooling_mode", {});
  std::string mode;
  for (const auto& [key, name] : switches) {
    if (!section.get<bool>(key, false)) continue;
    check(mode.empty(), "{}.{}: one pooling is built here, not two side by side", section.where(), key);
    mode = name;
  }
  check(named.empty() || mode.empty() || named == mode, "{}.pooling_mode: is {}, where the switch of {} is on",
        section.where(), named, mode);
  check(!named.empty() || !mode.empty(), "{}: no pooling_mode is on", section.where());
  return named.empty() ? mode : named;
}

SentencePool sentence_pool_of(const fs::path& file, std::int64_t width) {
  const auto root = read_json_object(file);
  JsonSection section(root, file.string());
  for (const auto* key : {"word_embedding_dimension", "embedding_dimension"})
    check(section.get(key, width) == width, "{}.{}: expected the tower's width {}, got {}", file.string(), key, width,
          section.get(key, width));
  const auto mode = pooling_mode(section);
  for (const auto& [name, pool] : sentence_pools)
    if (mode == name) return pool;
  fail("{}.pooling_mode: cls, mean and max are built here, got {}", file.string(), mode);
}

/// The folder of a module, which lies in the folder itself.
fs::path module_folder(const fs::path& folder, const std::string& path, const std::string& where) {
  check(!path.empty() && fs::path(path).filename() == path && path != "." && path != "..",
        "{}.path: \"{}\" is not the name of a folder beside it", where, path);
  return folder / path;
}

/// A tower, its pooling, and no second of either.
void check_order(std::string_view kind, std::size_t place, bool pooled, const std::string& where) {
  check((kind == "Transformer") == (place == 0),
        "{}.type: expected one Transformer, and that as the first module, got {} as number {}", where, kind, place + 1);
  check(kind != "Pooling" || !pooled, "{}.type: a second Pooling; one is built here", where);
}

void read_module(const nlohmann::json& entry, std::size_t place, const fs::path& folder, std::int64_t width,
                 SentenceModules& out) {
  const auto where = fmt::format("{}[{}]", (folder / "modules.json").string(), place);
  JsonSection module(entry, where);
  const auto path = module.get<std::string>("path", {});
  const auto type = module.require<std::string>("type");
  const auto kind = std::string_view(type).substr(type.rfind('.') + 1);
  check_order(kind, place, out.pool.has_value(), where);
  if (kind == "Transformer") {
    check(path.empty(), "{}.path: the tower has to lie in the folder itself, not in {}", where, path);
  } else if (kind == "Pooling") {
    out.pool = sentence_pool_of(module_folder(folder, path, where) / "config.json", width);
  } else if (kind == "Normalize") {
    // embeddings are of unit length anyway
  } else {
    fail("{}.type: {} behind a text tower is not built here", where, type);
  }
}

/// transformers writes 1e30 for none.
std::optional<std::int64_t> tokenizers_limit(const fs::path& folder) {
  const auto file = folder / "tokenizer_config.json";
  if (!is_there(file)) return std::nullopt;
  constexpr double none_from = 1 << 24;
  const auto config = read_json_object(file);
  JsonSection section(config, file.string());
  if (section.get<double>("model_max_length", none_from) >= none_from) return std::nullopt;
  return section.require_positive("model_max_length");
}

void read_limits(const fs::path& folder, SentenceModules& modules) {
  if (const auto file = folder / "sentence_bert_config.json"; is_there(file)) {
    const auto values = read_json_object(file);
    JsonSection section(values, file.string());
    check(!section.get<bool>("do_lower_case", false),
          "{}.do_lower_case: only false is built here; a tokenizer that lowers letters says so itself", file.string());
    if (section.has("max_seq_length")) modules.context_length = section.require_positive("max_seq_length");
  }
  if (!modules.context_length) modules.most_tokens = tokenizers_limit(folder);
}

}  // namespace

SentenceModules read_sentence_modules(const fs::path& folder, std::int64_t width) {
  SentenceModules modules;
  const auto file = folder / "modules.json";
  if (!is_there(file)) return modules;
  const auto root = parse_json(read_file(file), file.string());
  check(root.is_array(), "{}: expected a list of modules, got {}", file.string(), root.type_name());
  check(!root.empty(), "{}: expected a Transformer and what follows it, got no module", file.string());
  for (std::size_t i = 0; i < root.size(); ++i) read_module(root[i], i, folder, width, modules);
  read_limits(folder, modules);
  return modules;
}

}  // namespace vlalign
