#include "vlalign/data/episodes.hpp"

#include <filesystem>

#include "core/check.hpp"
#include "data/shard_episodes.hpp"
#include "data/shard_records.hpp"

namespace vlalign {

namespace fs = std::filesystem;

std::shared_ptr<const EpisodeSource> open_episodes(std::string_view location) {
  check(!location.empty(), "[open_episodes] no location given");
  try {
    const auto files = expand_files(location);
    check_shards(files, "a LeRobot dataset's folder, or ");
    return open_shard_episodes(files);
  } catch (const fs::filesystem_error& error) {
    fail("{}: {}", location, error.code().message());
  }
}

}  // namespace vlalign
