// Demonstrations in webdataset's tar shards.
#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "vlalign/data/sources/episodes.hpp"

namespace vlalign {

/// Opens tar shards whose records are steps, see open_episodes. Records may come in any order, and an episode may lie
/// in several shards; episodes are in the order in which they begin to appear. Numbers stay in memory, pictures are
/// read when asked for. Throws Error naming shard and key, and what would be right.
std::shared_ptr<const EpisodeSource> open_shard_episodes(const std::vector<std::filesystem::path>& files);

}  // namespace vlalign
