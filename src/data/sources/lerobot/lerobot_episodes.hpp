// Demonstrations in a LeRobot dataset's folder.
#pragma once

#include <filesystem>
#include <memory>

#include "vlalign/core/export.hpp"
#include "vlalign/data/sources/episodes.hpp"

namespace vlalign {

/// Opens a dataset of version 2.0, 2.1 or 3.0. Episodes are in their order; an episode's frames must have one task,
/// which is its instruction. "observation.state" and "action" are read when it is opened, pictures when asked for: of a
/// video the frame nearest to the step's timestamp. Throws Error naming file and what would be right.
using OpenLerobotEpisodes = void (*)(const std::filesystem::path& folder, const EpisodeOptions& options,
                                     std::shared_ptr<const EpisodeSource>& source);

}  // namespace vlalign

/// The module's entry for datasets.
extern "C" VLALIGN_EXPORT void vlalign_open_lerobot_episodes(const std::filesystem::path& folder,
                                                             const vlalign::EpisodeOptions& options,
                                                             std::shared_ptr<const vlalign::EpisodeSource>& source);
