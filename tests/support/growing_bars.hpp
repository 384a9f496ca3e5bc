#pragma once

#include <ATen/ops/zeros.h>

#include <string>
#include <vector>

#include "vlalign/data/sources/episodes.hpp"

namespace vlalign::test {

/// Eight episodes of 8 steps: a white bar grows from one side or another over a ground of the episode's own grey.
class GrowingBars : public EpisodeSource {
 public:
  GrowingBars() {
    for (int i = 0; i < 8; ++i)
      episodes_.push_back({.name = "bar " + std::to_string(i),
                           .instructions = {i % 2 == 0 ? "to the right" : "downwards"},
                           .states = at::zeros({steps, 0}),
                           .actions = at::zeros({steps, 1})});
  }

  static constexpr std::int64_t steps = 8;
  std::int64_t size() const override { return std::ssize(episodes_); }
  const Episode& episode(std::int64_t i) const override { return episodes_.at(static_cast<std::size_t>(i)); }
  Image frame(std::int64_t i, std::int64_t t, PixelsAs) const override {
    Image image{32, 32, std::vector<std::uint8_t>(3 * 32 * 32)};
    for (std::int64_t p = 0; p < 32 * 32; ++p) {
      const auto along = i % 2 == 0 ? p % 32 : p / 32;
      const auto grey = static_cast<std::uint8_t>(along < 4 * (t + 1) ? 255 : 12 * i);
      for (std::int64_t c = 0; c < 3; ++c) image.rgb[static_cast<std::size_t>(3 * p + c)] = grey;
    }
    return image;
  }

 private:
  std::vector<Episode> episodes_;
};

}  // namespace vlalign::test
