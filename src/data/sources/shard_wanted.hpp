// What a user's options ask of shards. Internal.
#pragma once

#include "data/sources/index_shard.hpp"
#include "remote/remote_cache.hpp"
#include "vlalign/data/sources/pairs.hpp"

namespace vlalign {

/// Throws Error for a condition or captions' keys that are none.
ShardWanted shards_wanted(const PairOptions& options);

CacheOptions cache_options(const PairOptions& options);

}  // namespace vlalign
