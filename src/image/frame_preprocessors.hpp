// Preprocessors for several cameras at once. Internal.
#pragma once

#include <algorithm>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "image/frame_preprocessor.hpp"

namespace vlalign {

/// Those that are not in use, one for each call at once. Safe to use from several threads.
class FramePreprocessors {
 public:
  explicit FramePreprocessors(const Preprocess& how) : how_(how) {}

  /// One that is prepared for such frames, where there is one.
  std::unique_ptr<FramePreprocessor> take(const ImageView& frame) {
    const std::lock_guard lock(mutex_);
    if (idle_.empty()) return std::make_unique<FramePreprocessor>(how_);
    const auto fits = [&](const auto& idle) { return idle->fits(frame); };
    const auto found = std::find_if(idle_.begin(), idle_.end(), fits);
    if (found != idle_.end()) std::swap(*found, idle_.back());
    auto taken = std::move(idle_.back());
    idle_.pop_back();
    return taken;
  }

  void give_back(std::unique_ptr<FramePreprocessor> used) {
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(used));
  }

 private:
  Preprocess how_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<FramePreprocessor>> idle_;
};

}  // namespace vlalign
