#include "data/sources/shard_captions.hpp"

#include <nlohmann/json.hpp>
#include <string_view>

#include "core/ascii.hpp"
#include "core/check.hpp"
#include "core/json/parse_json.hpp"
#include "core/naming.hpp"
#include "core/utf8.hpp"
#include "data/sources/caption_keys.hpp"
#include "data/sources/json_captions.hpp"

namespace vlalign {
namespace {

/// Empty where the record has no .txt, or a blank one.
std::string caption_of_txt(const ShardBytes& shard, const ShardRow& row) {
  if (!row.txt.is_there()) return {};
  const auto text = shard.text(row.txt, row.key);
  const auto caption = trim(without_byte_order_mark(text));
  check(is_utf8(caption), "{}:{}.txt: is not UTF-8", shard.tar.name, row.key);
  return std::string(caption);
}

template <typename Function>
auto of_json(const ShardBytes& shard, const ShardRow& row, Function take) {
  const auto text = shard.text(row.json, row.key);
  return naming(fmt::format("{}:{}.json", shard.tar.name, row.key), [&] {
    const auto record = parse_record(text);
    check(record.is_object(), "expected a JSON object, found {}", record.type_name());
    return take(record);
  });
}

std::vector<std::string> trimmed(std::vector<std::string> captions) {
  for (auto& caption : captions) caption = trim(caption);
  return captions;
}

}  // namespace

std::vector<std::string> captions_of_row(const ShardBytes& shard, const ShardRow& row,
                                         const std::vector<CaptionKey>& keys) {
  if (keys.empty()) {
    if (auto caption = caption_of_txt(shard, row); !caption.empty()) return {std::move(caption)};
    check(!row.txt.is_there() || row.json.is_there(), "its caption is empty");
    check(row.json.is_there(), "has no caption, a .txt or .json");
  }
  check(row.json.is_there(), "has no .json with captions");
  return of_json(shard, row, [&](const nlohmann::json& record) {
    return trimmed(keys.empty() ? captions_of(record, "caption") : captions_of(record, keys));
  });
}

std::string draw_caption_of_row(const ShardBytes& shard, const ShardRow& row, const std::vector<CaptionKey>& keys,
                                Rng& rng) {
  if (keys.empty()) {
    auto all = captions_of_row(shard, row, keys);
    return std::move(all[static_cast<std::size_t>(rng.below(std::ssize(all)))]);
  }
  check(row.json.is_there(), "has no .json with captions");
  return of_json(shard, row,
                 [&](const nlohmann::json& record) { return std::string(trim(pick_caption(record, keys, rng))); });
}

nlohmann::json json_of_row(const ShardBytes& shard, const ShardRow& row) {
  return of_json(shard, row, [](const nlohmann::json& record) { return record; });
}

}  // namespace vlalign
