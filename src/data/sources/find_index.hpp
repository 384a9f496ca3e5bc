// The index of a data set's shards: found, or made. Internal.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "data/sources/index_shard.hpp"
#include "data/sources/shard_index.hpp"

namespace vlalign {

/// What records are chosen by and how captions are read, as text; empty where all is as usual.
std::string describe(const ShardWanted& wanted);

/// Called as shards are done with: of how many, and the bytes of those that were read.
using IndexProgress = std::function<void(std::int64_t done, std::int64_t of, std::int64_t bytes)>;

/// The index of these shards, in their order. What is known is used: an index beside the shards (index_name), those of
/// other programs (see foreign_index.hpp), and what was found out before (IndexCache). Shards of which nothing is
/// known, or that have changed since, are read, several at a time. Throws Error for one that can't be read.
ShardIndex index_shards(const std::vector<std::string>& names, ShardFiles& files, const ShardWanted& wanted,
                        const IndexProgress& progress = {});

}  // namespace vlalign
