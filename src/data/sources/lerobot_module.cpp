#include "data/sources/lerobot_module.hpp"

#include "core/loadable_module.hpp"
#include "core/naming.hpp"
#include "data/sources/lerobot/lerobot_episodes.hpp"

namespace vlalign {

std::shared_ptr<const EpisodeSource> open_lerobot(const std::filesystem::path& folder, const EpisodeOptions& options) {
  static const auto open = naming(folder.string(), [] {
    return reinterpret_cast<OpenLerobotEpisodes>(load_module(
        "lerobot", "vlalign_open_lerobot_episodes", ModuleNames::programs_first,
        "LeRobot datasets need a vlalign built where Arrow (with Parquet) and FFmpeg's libavformat, libavcodec and "
        "libswscale are; run cmake/setup.sh, which installs them, and build again"));
  });
  std::shared_ptr<const EpisodeSource> source;
  open(folder, options, source);
  return source;
}

}  // namespace vlalign
