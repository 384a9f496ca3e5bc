// Pairs in webdataset's tar shards.
#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "vlalign/data/sources/pairs.hpp"

namespace vlalign {

/// Opens tar shards. A record is a picture (.jpg, .png, .jpeg, .webp, .jpe, .jfif, .apng, in this order of preference)
/// and a caption (.txt, else "caption" of .json, a string or a list) of one key, see ShardRecord. Members with other
/// extensions are ignored. Records without a picture or a caption, or with a fault in either's file, are bad records.
/// The index stays in memory, pictures are read when asked for. Throws Error naming the shard and its fault, and when
/// too many records are bad, or all.
std::shared_ptr<const PairSource> open_shards(const std::vector<std::filesystem::path>& files, double max_bad);

}  // namespace vlalign
