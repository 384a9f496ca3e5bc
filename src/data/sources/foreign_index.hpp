// Counts of records that other programs wrote beside shards. Internal.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace vlalign {

struct CountedShard {
  std::string name;
  std::int64_t records = 0;
};

/// The shards that an index names, from its text: webdataset's wids ("shardlist") and its sizes.json ({"000.tar":
/// 10000,
/// ...}). Nothing for what is neither. Throws Error for one with a count that is none.
std::optional<std::vector<CountedShard>> parse_counts(const std::string& text, const std::string& location);

/// How many records each of the shards has, where files beside them say so of every one: sizes.json, a wids index
/// called index.json, wids.json or shardindex.json; beside 000.tar img2dataset's 000_stats.json ("successes") or DALI's
/// 000.idx (wds2idx). Nothing otherwise. Of remote shards only the first four are looked for.
std::optional<std::vector<std::int64_t>> counts_beside(const std::vector<std::string>& shards);

}  // namespace vlalign
