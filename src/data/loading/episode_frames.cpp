#include "data/loading/episode_frames.hpp"

#include <algorithm>
#include <utility>

#include "core/check.hpp"

namespace vlalign {
namespace {

/// Throws Error unless it is as EpisodeSource says; `like` is the first.
void check_episode(const Episode& episode, const Episode& like, std::int64_t index) {
  const auto& [name, instructions, states, actions] = episode;
  const auto is_matrix = [](const at::Tensor& numbers) {
    return numbers.defined() && numbers.dim() == 2 && numbers.scalar_type() == at::kFloat && numbers.device().is_cpu();
  };
  if (!is_matrix(states) || !is_matrix(actions) || states.size(0) != actions.size(0))
    fail("[EpisodeLoader] episode {}: expected states [T, S] and actions [T, A] in float32, on the CPU", index);
  if (states.size(1) != like.states.size(1) || actions.size(1) != like.actions.size(1))
    fail("[EpisodeLoader] episode {}: expected states of {} and actions of {} numbers, as the first has, got {} and {}",
         index, like.states.size(1), like.actions.size(1), states.size(1), actions.size(1));
  if (instructions.empty()) fail("[EpisodeLoader] episode {}: expected an instruction, got none", index);
}

void check_clip(const ClipOptions& clip) {
  constexpr std::int64_t most_frames = 1024;
  check(clip.frames >= 0, "[EpisodeLoader] clip.frames: expected 0 or more, got {}", clip.frames);
  check(clip.frames <= most_frames, "[EpisodeLoader] clip.frames: expected at most {}, got {}", most_frames,
        clip.frames);
  check(!clip.to_goal || clip.frames == 4,
        "[EpisodeLoader] clip.frames: expected 4 to a goal (start, one step, the next, goal), got {}", clip.frames);
}

std::int64_t steps_needed(const ClipOptions& clip) {
  constexpr std::int64_t one_and_the_next = 2;
  return clip.to_goal ? one_and_the_next : std::max<std::int64_t>(clip.frames, 1);
}

/// A start, one step and the next, and a goal, of T >= 2 steps: the start at or before the one, the goal at or behind
/// the next. The last step, which none follows, gives its place to the one before.
std::vector<std::int64_t> steps_to_goal(std::int64_t step, std::int64_t steps, Rng& rng) {
  const auto one = std::min(step, steps - 2), next = one + 1;
  const auto start = rng.below(one + 1);
  return {start, one, next, next + rng.below(steps - next)};
}

/// `count` different ones of T >= count steps, in their order, `step` among them and the others uniformly drawn.
std::vector<std::int64_t> steps_in_order(std::int64_t step, std::int64_t count, std::int64_t steps, Rng& rng) {
  std::vector<std::int64_t> chosen;
  auto wanted = count - 1, left = steps - 1;  // of the others
  for (std::int64_t i = 0; std::ssize(chosen) < count; ++i) {
    if (i == step) {
      chosen.push_back(i);
    } else if (rng.below(left--) < wanted) {
      chosen.push_back(i);
      --wanted;
    }
  }
  return chosen;
}

}  // namespace

EpisodeSteps::EpisodeSteps(const EpisodeSource* source, const ClipOptions& clip) : first_{0} {
  check(source != nullptr && source->size() > 0, "[EpisodeLoader] source: expected episodes, got none");
  check_clip(clip);
  for (std::int64_t i = 0; i < source->size(); ++i) {
    const auto& episode = source->episode(i);
    check_episode(episode, source->episode(0), i);
    const auto steps = episode.actions.size(0), needed = steps_needed(clip);
    const bool long_enough = steps >= needed || steps == 0;
    if (!long_enough)
      too_short_.push_back(fmt::format("episode {}: {} step(s), and a clip of {} frames needs {}", episode.name, steps,
                                       clip.frames, needed));
    first_.push_back(first_.back() + (long_enough ? steps : 0));
  }
  check(size() > 0 || too_short_.empty(), "[EpisodeLoader] no episode is long enough; the first is {}",
        too_short_.empty() ? "" : too_short_.front());
}

EpisodeSteps::Step EpisodeSteps::operator[](std::int64_t number) const {
  const auto episode = std::upper_bound(first_.begin(), first_.end(), number) - first_.begin() - 1;
  return {episode, number - first_of(episode)};
}

std::string EpisodeFrames::name(std::int64_t number) const {
  const auto [episode, step] = steps_[number];
  return fmt::format("episode {}, step {}", source_->episode(episode).name, step);
}

std::string EpisodeFrames::text(std::int64_t number, Rng& rng) const {
  const auto& texts = source_->episode(steps_[number].episode).instructions;
  return texts[static_cast<std::size_t>(rng.below(std::ssize(texts)))];
}

Image EpisodeFrames::picture(std::int64_t number) const {
  const auto [episode, step] = steps_[number];
  return source_->frame(episode, step, as_);
}

std::vector<std::int64_t> EpisodeFrames::choose(std::int64_t number, Rng& rng) const {
  if (clip_.frames == 0) return {number};
  const auto [episode, step] = steps_[number];
  const auto steps = source_->episode(episode).actions.size(0);
  auto chosen = clip_.to_goal ? steps_to_goal(step, steps, rng) : steps_in_order(step, clip_.frames, steps, rng);
  for (auto& i : chosen) i += steps_.first_of(episode);
  return chosen;
}

}  // namespace vlalign
