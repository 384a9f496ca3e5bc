// The captions of a shard's record. Internal.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "data/sources/shard_reading.hpp"
#include "vlalign/data/sources/pairs.hpp"

namespace vlalign {

/// Those that aren't blank, at least one: the .txt's unless it is blank or keys are given, else of the .json what
/// stands under the keys, or under "caption" without any. Throws Error, naming the member, where there is none.
std::vector<std::string> captions_of_row(const ShardBytes& shard, const ShardRow& row,
                                         const std::vector<CaptionKey>& keys);

/// One of them, drawn for training; see pick_caption().
std::string draw_caption_of_row(const ShardBytes& shard, const ShardRow& row, const std::vector<CaptionKey>& keys,
                                Rng& rng);

/// The record's .json, an object; throws Error naming it.
nlohmann::json json_of_row(const ShardBytes& shard, const ShardRow& row);

}  // namespace vlalign
