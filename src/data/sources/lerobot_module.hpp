// LeRobot datasets, read by a module of its own: it needs Arrow and FFmpeg, whose libraries nobody loads who doesn't
// open one, and whose symbols meet nobody else's (Arrow's wheel exports those of an OpenSSL inside it).
#pragma once

#include <filesystem>
#include <memory>

#include "vlalign/data/sources/episodes.hpp"

namespace vlalign {

/// Loads the module beside the library and opens the dataset with it; see lerobot/lerobot_episodes.hpp.
/// Throws Error when the module isn't there, saying what to install, or can't be loaded.
std::shared_ptr<const EpisodeSource> open_lerobot(const std::filesystem::path& folder, const EpisodeOptions& options);

}  // namespace vlalign
