// Demonstrations as batches are made of them: a record is a step, or the clip around it. Internal.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/loading/batch_maker.hpp"
#include "vlalign/data/loading/episode_loader.hpp"
#include "vlalign/data/sources/episodes.hpp"

namespace vlalign {

/// The steps of all episodes, counted through them; without those of episodes that are too short for a clip.
class EpisodeSteps {
 public:
  struct Step {
    std::int64_t episode, step;
  };

  /// Throws Error "[EpisodeLoader] ..." without episodes, and for one that isn't as EpisodeSource says.
  EpisodeSteps(const EpisodeSource* source, const ClipOptions& clip);

  std::int64_t size() const { return first_.back(); }
  Step operator[](std::int64_t number) const;
  std::int64_t first_of(std::int64_t episode) const { return first_[static_cast<std::size_t>(episode)]; }
  const std::vector<std::string>& too_short() const { return too_short_; }  ///< "episode NAME: why"

 private:
  std::vector<std::int64_t> first_;  // of each episode; then their count
  std::vector<std::string> too_short_;
};

class EpisodeFrames : public PictureTexts {
 public:
  EpisodeFrames(std::shared_ptr<const EpisodeSource> source, EpisodeSteps steps, const ClipOptions& clip, PixelsAs as)
      : source_(std::move(source)), steps_(std::move(steps)), clip_(clip), as_(as) {}

  std::int64_t size() const override { return steps_.size(); }
  std::string name(std::int64_t step) const override;
  std::string text(std::int64_t step, Rng& rng) const override;
  Image picture(std::int64_t step) const override;
  std::int64_t pictures_each() const override { return std::max<std::int64_t>(clip_.frames, 1); }
  std::vector<std::int64_t> choose(std::int64_t step, Rng& rng) const override;
  std::vector<std::string> bad_records() const override { return steps_.too_short(); }

 private:
  std::shared_ptr<const EpisodeSource> source_;
  EpisodeSteps steps_;
  ClipOptions clip_;
  PixelsAs as_;
};

}  // namespace vlalign
