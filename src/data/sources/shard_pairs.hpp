// Pairs in webdataset's tar shards.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "data/sources/shard_index.hpp"
#include "vlalign/data/sources/pairs.hpp"

namespace vlalign {

/// Opens tar shards: files, URLs or pipe:COMMAND. A record is a picture (.jpg, .png, .jpeg, .webp, .jpe, .jfif, .apng,
/// in this order of preference) and a caption (.txt, else "caption" of .json, a string or a list) of one key, see
/// ShardRecord. Members with other extensions are ignored. Records without a picture or a caption, or with a fault in
/// either's file, are bad records. What is kept in memory of the shards is their index; a shard's table of records and
/// its texts and pictures are read when they are asked for. Throws Error naming the shard and its fault, and when too
/// many records are bad, or all.
std::shared_ptr<const PairSource> open_shards(const std::vector<std::string>& shards, const PairOptions& options);

/// The shards of an index, as written by `vlalign index` or by another program, whose text is given. Nothing for what
/// is no index.
std::shared_ptr<const PairSource> open_index(const std::string& text, const std::string& location,
                                             const PairOptions& options);

}  // namespace vlalign
