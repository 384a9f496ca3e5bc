#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "vlalign/core/export.hpp"
#include "vlalign/image/image.hpp"

namespace vlalign {

/// What a robot was told, felt and did, step by step; its frames are with the source.
struct Episode {
  std::string name;                       ///< for people
  std::vector<std::string> instructions;  ///< ways of saying the same, at least one
  at::Tensor states;                      ///< float32 [T, S]; S is 0 where none was recorded
  at::Tensor actions;                     ///< float32 [T, A]: what was done after the frame and state of the same step
};

/// Demonstrations with random access. All episodes have the same S and A. Reading is safe from several threads.
class VLALIGN_EXPORT EpisodeSource {
 public:
  virtual ~EpisodeSource() = default;
  virtual std::int64_t size() const = 0;                         ///< episodes
  virtual const Episode& episode(std::int64_t index) const = 0;  ///< lives as long as the source
  /// The picture of a step, decoded, since most come out of videos; throws Error naming the record.
  ///   as: what a picture file's transparency and orientation become, for the encoder that looks at it
  virtual Image frame(std::int64_t episode, std::int64_t step, PixelsAs as) const = 0;
};

struct EpisodeOptions {
  /// Which of a LeRobot dataset's cameras, e.g. "observation.images.top"; empty: the first by name.
  std::string camera;
};

/// Opens demonstrations: tar shards (as open_pairs takes them) with a record a step, a picture beside a JSON object
///
///     {"episode": "000012", "step": 0, "instruction": "...", "state": [S numbers], "action": [A numbers]}
///
/// where "instruction" is a string or a list of them, "state" may be missing, and a "caption" beside makes the same
/// shards a source of pairs; or a LeRobot dataset's folder (v2.1 or v3.0: parquet and video), where this was built with
/// Arrow and FFmpeg. Throws Error naming file and record for what is missing, of another size than before, or twice.
VLALIGN_EXPORT std::shared_ptr<const EpisodeSource> open_episodes(std::string_view location,
                                                                  const EpisodeOptions& options = {});

/// Every instruction of every episode, in the source's order: what a vocabulary is trained on.
VLALIGN_EXPORT std::vector<std::string> all_instructions(const std::shared_ptr<const EpisodeSource>& episodes);

}  // namespace vlalign
