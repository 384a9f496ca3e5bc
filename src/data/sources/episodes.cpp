#include "vlalign/data/sources/episodes.hpp"

#include <filesystem>

#include "core/check.hpp"
#include "core/foreign_errors.hpp"
#include "core/io/files.hpp"
#include "data/sources/checked_source.hpp"
#include "data/sources/lerobot_module.hpp"
#include "data/sources/locations.hpp"
#include "data/sources/shard_episodes.hpp"
#include "data/sources/shard_files.hpp"
#include "data/sources/shard_records.hpp"
#include "remote/remote_file.hpp"

namespace vlalign {

namespace fs = std::filesystem;

std::shared_ptr<const EpisodeSource> open_episodes(std::string_view location, const EpisodeOptions& options) {
  check(!location.empty(), "[open_episodes] no location given");
  return without_foreign_errors(location, [&] {
    std::error_code ignored;  // a pattern may be longer than a name may be
    if (fs::is_directory(location, ignored)) {
      check(is_there(fs::path(location) / "meta/info.json"),
            "{}: a folder of demonstrations is a LeRobot dataset, with meta/info.json; shards are named one by one or "
            "as {}",
            location, (fs::path(location) / "{000..031}.tar").string());
      return open_lerobot(location, options);
    }
    std::vector<fs::path> files;
    for (const auto& part : expand_location(location)) {
      check(part.weight == 1.0, "{}: demonstrations have no weights", location);
      files.insert(files.end(), part.places.begin(), part.places.end());
    }
    for (const auto& file : files) {
      check(!is_remote(file.string()) && !is_pipe(file.string()),
            "{}: demonstrations are read from this machine's files; copy the shards first", file.string());
      check_shard(file, "a LeRobot dataset's folder");
    }
    check(options.camera.empty(), "[open_episodes] camera: expected none, shards have one picture a step, got {}",
          options.camera);
    return open_shard_episodes(files);
  });
}

std::vector<std::string> all_instructions(const std::shared_ptr<const EpisodeSource>& source) {
  const auto& episodes = checked_source(source, "[all_instructions] episodes");
  std::vector<std::string> all;
  for (std::int64_t i = 0; i < episodes.size(); ++i) {
    const auto& instructions = episodes.episode(i).instructions;
    all.insert(all.end(), instructions.begin(), instructions.end());
  }
  return all;
}

}  // namespace vlalign
