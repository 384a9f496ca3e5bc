#include "data/sources/shard_wanted.hpp"

#include <cmath>
#include <filesystem>

#include "core/check.hpp"
#include "core/io/cache_folder.hpp"
#include "data/sources/caption_keys.hpp"

namespace vlalign {

ShardWanted shards_wanted(const PairOptions& options) {
  if (!options.caption_keys.empty()) check_caption_keys(options.caption_keys);
  ShardWanted wanted{.keys = options.caption_keys, .filter = nullptr, .contents = false};
  if (!options.where.empty()) wanted.filter = std::make_shared<const RecordFilter>(options.where);
  return wanted;
}

CacheOptions cache_options(const PairOptions& options) {
  constexpr double gigabyte = 1e9, most = 1e9;
  check(options.cache_gb > 0 && options.cache_gb <= most,
        "[open_pairs] cache_gb: expected more than 0 and at most {}, got {}", most, options.cache_gb);
  auto folder = options.cache;
  if (folder.empty()) folder = cache_folder() / "remote";
  if (folder.is_relative() && options.cache.empty()) folder = std::filesystem::temp_directory_path() / "vlalign-remote";
  return {.folder = folder, .most_bytes = static_cast<std::int64_t>(options.cache_gb * gigabyte)};
}

}  // namespace vlalign
