#include "data/sources/foreign_index.hpp"

#include <charconv>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "core/check.hpp"
#include "core/io/files.hpp"
#include "core/json/parse_json.hpp"
#include "core/log.hpp"
#include "core/naming.hpp"
#include "data/sources/shard_index.hpp"
#include "remote/download.hpp"
#include "remote/remote_error.hpp"
#include "remote/remote_file.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using Counts = std::unordered_map<std::string, std::int64_t>;  // by the shard's name without folders

std::int64_t count_of(const json& value, const std::string& where) {
  constexpr std::int64_t most = std::int64_t{1} << 60;
  const bool fits = value.is_number_integer() && value.get<std::int64_t>() >= 0 && value.get<std::int64_t>() <= most;
  check(fits, "{}: expected how many records a shard has", where);
  return value.get<std::int64_t>();
}

std::vector<CountedShard> of_shardlist(const json& list, const std::string& location) {
  std::vector<CountedShard> shards;
  for (const auto& shard : list) {
    check(shard.is_object() && shard.contains("url") && shard["url"].is_string() && shard.contains("nsamples"),
          "{}: expected the shards of \"shardlist\" to have \"url\" and \"nsamples\"", location);
    auto name = naming(location, [&] { return shard_named_in(location, shard["url"].get<std::string>()); });
    shards.push_back({std::move(name), count_of(shard["nsamples"], location)});
  }
  return shards;
}

std::optional<std::string> small_file(const std::string& name) {
  constexpr std::int64_t most_bytes = 256 << 20;
  if (is_remote(name)) return read_remote_if_there(name, most_bytes);
  std::error_code fault;
  if (!fs::is_regular_file(name, fault)) return std::nullopt;
  return read_text(name);
}

/// An index that is damaged is no reason to stop: the shards can be read.
std::optional<std::vector<std::int64_t>> counts_of_file(const std::string& file,
                                                        const std::vector<std::string>& shards) {
  try {
    const auto text = small_file(file);
    const auto counted = text ? parse_counts(*text, file) : std::nullopt;
    if (!counted) return std::nullopt;
    Counts counts;
    for (const auto& shard : *counted) counts[last_part(shard.name)] = shard.records;
    std::vector<std::int64_t> all;
    for (const auto& shard : shards) {
      const auto found = counts.find(last_part(shard));
      if (found == counts.end()) return std::nullopt;
      all.push_back(found->second);
    }
    return all;
  } catch (const RemoteError& error) {
    if (error.status() == 0) throw;  // nobody answers: nor would they the next time
    log_warning("{}; it is not used", error.what());
  } catch (const Error& error) {
    log_warning("{}; it is not used", error.what());
  }
  return std::nullopt;
}

/// "successes" of what img2dataset says of a shard.
std::optional<std::int64_t> count_of_stats(const std::string& stem) {
  const auto text = small_file(stem + "_stats.json");
  if (!text) return std::nullopt;
  const auto stats = parse_json(*text, stem + "_stats.json");
  if (!stats.is_object() || !stats.contains("successes")) return std::nullopt;
  return count_of(stats["successes"], stem + "_stats.json");
}

/// The second word of wds2idx's first line, "v1.2 10000".
std::optional<std::int64_t> count_of_idx(const std::string& stem) {
  const auto text = small_file(stem + ".idx");
  if (!text || !text->starts_with("v1.")) return std::nullopt;
  const auto line = std::string_view(*text).substr(0, text->find('\n'));
  const auto number = line.substr(line.find(' ') + 1);
  std::int64_t count = 0;
  const auto [end, error] = std::from_chars(number.begin(), number.end(), count);
  return error == std::errc() && count >= 0 ? std::optional(count) : std::nullopt;
}

std::optional<std::int64_t> count_beside(const std::string& shard) {
  const auto stem = shard.substr(0, shard.find('.', shard.rfind('/') + 1));
  try {
    if (const auto count = count_of_stats(stem)) return count;
    return count_of_idx(stem);
  } catch (const Error& error) {
    log_warning("{}; it is not used", error.what());
    return std::nullopt;
  }
}

bool share_a_folder(const std::vector<std::string>& shards) {
  const auto folder = [](const std::string& name) { return name.substr(0, name.rfind('/') + 1); };
  const auto first = folder(shards.front());
  return std::all_of(shards.begin(), shards.end(), [&](const auto& shard) { return folder(shard) == first; });
}

}  // namespace

std::optional<std::vector<CountedShard>> parse_counts(const std::string& text, const std::string& location) {
  const auto all = parse_json(text, location);
  if (!all.is_object()) return std::nullopt;
  if (const auto list = all.find("shardlist"); list != all.end() && list->is_array()) {
    check(!list->empty(), "{}: its \"shardlist\" names no shards", location);
    return of_shardlist(*list, location);
  }
  std::vector<CountedShard> shards;
  for (const auto& [name, count] : all.items()) {
    const bool is_shard = name.ends_with(".tar") || name.find(".tar.") != name.npos;
    if (!is_shard || !count.is_number()) return std::nullopt;
    shards.push_back({beside(location, name), count_of(count, location)});
  }
  return shards.empty() ? std::nullopt : std::optional(shards);
}

std::optional<std::vector<std::int64_t>> counts_beside(const std::vector<std::string>& shards) {
  if (!share_a_folder(shards) || is_pipe(shards.front())) return std::nullopt;
  for (const auto* name : {"sizes.json", "index.json", "wids.json", "shardindex.json"})
    if (auto counts = counts_of_file(beside(shards.front(), name), shards)) return counts;
  if (is_remote(shards.front())) return std::nullopt;
  std::vector<std::int64_t> all;
  for (const auto& shard : shards) {
    const auto count = count_beside(shard);
    if (!count) return std::nullopt;
    all.push_back(*count);
  }
  return all;
}

}  // namespace vlalign
