#include "tabletop/rollout.hpp"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>

#include "core/check.hpp"
#include "tabletop/words.hpp"
#include "vlalign/image/transform.hpp"

namespace tabletop {
namespace {

namespace vla = vlalign::vla;
using vlalign::Image;
using vlalign::Rng;

constexpr int at_once = 50;

/// Below 2^32: no demonstration or frame is collected with them.
std::uint64_t episode_seed(int episode) { return static_cast<std::uint64_t>(episode); }

/// Several tables under one policy.
class Tables {
 public:
  Tables(const vla::Policy& policy, const RolloutOptions& options, int first, int count)
      : policy_(policy), options_(options) {
    std::vector<std::string> told;
    for (int i = first; i < first + count; ++i) {
      outcomes_.push_back(
          {.episode = i, .start = make_episode(episode_seed(i), options.cell.combinations, options.cell.wording)});
      auto& outcome = outcomes_.back();
      keep_objects(outcome.start, options.objects);
      outcome.told = said(outcome.start, i);
      told.push_back(outcome.told);
      simulations_.emplace_back(outcome.start);
    }
    const auto encoder = policy.encoder();
    text_ = policy.read(tokenize(*encoder.tokenizer(), told, encoder.config().text.context_length));
  }

  void run(Camera& camera, Camera* film) {
    for (int step = 0;; step += options_.execute) {
      const auto active = running();
      if (active.empty()) return;
      act(active, decide(active, camera, step), film);
    }
  }

  std::vector<Outcome> outcomes() && { return std::move(outcomes_); }

 private:
  std::string said(const EpisodeStart& start, int episode) const {
    if (options_.control != Control::other_object) return start.instruction;
    Rng rng({0x6f74686572, episode_seed(episode)});
    auto task = start.task;
    task.target = static_cast<int>(rng.below(std::ssize(start.scene.objects)));
    return instruction(start.scene, task, options_.cell.wording, rng);
  }

  std::vector<std::int64_t> running() const {
    std::vector<std::int64_t> active;
    for (std::size_t i = 0; i < simulations_.size(); ++i) {
      if (simulations_[i].outcome() == Simulation::Outcome::running && simulations_[i].steps() < max_steps)
        active.push_back(static_cast<std::int64_t>(i));
    }
    return active;
  }

  /// [active, H, A]
  at::Tensor decide(const std::vector<std::int64_t>& active, Camera& camera, int step) {
    const auto& how = policy_.encoder().config().preprocess;
    const auto count = std::ssize(active);
    auto pixels = at::empty({count, how.image_size, how.image_size, 3}, at::kByte);
    auto states = at::empty({count, state_size + (options_.with_poses ? 2 : 0)});
    for (std::int64_t row = 0; row < count; ++row) {
      const auto& simulation = simulations_[static_cast<std::size_t>(active[static_cast<std::size_t>(row)])];
      const auto picture = preprocess(seen(simulation, camera), how);
      std::memcpy(pixels[row].data_ptr(), picture.rgb.data(), picture.rgb.size());
      fill_state(states[row], simulation, active[static_cast<std::size_t>(row)]);
    }
    const auto rows = at::tensor(active);
    const auto pick = [&](const at::Tensor& x) { return x.defined() ? x.index_select(0, rows) : x; };
    vlalign::Features text;
    text.embedding = pick(text_.embedding), text.tokens = pick(text_.tokens), text.mask = pick(text_.mask);
    const auto noise = at::detail::createCPUGenerator(static_cast<std::uint64_t>(step));
    return policy_.act(pixels.permute({0, 3, 1, 2}), text, states, vlalign::Precision::fp32, noise).contiguous();
  }

  Image seen(const Simulation& simulation, Camera& camera) const {
    auto image = camera.render(simulation);
    if (options_.control == Control::blank_image) std::fill(image.rgb.begin(), image.rgb.end(), std::uint8_t{110});
    return image;
  }

  void fill_state(const at::Tensor& row, const Simulation& simulation, std::int64_t table) const {
    auto* numbers = row.data_ptr<float>();
    const auto state = simulation.state();
    numbers = std::copy(state.begin(), state.end(), numbers);
    if (!options_.with_poses) return;
    const auto place = simulation.position(outcomes_[static_cast<std::size_t>(table)].start.task.target);
    numbers[0] = static_cast<float>(place[0]);
    numbers[1] = static_cast<float>(place[1]);
  }

  void act(const std::vector<std::int64_t>& active, const at::Tensor& chunks, Camera* film) {
    for (std::size_t row = 0; row < active.size(); ++row) {
      const auto table = static_cast<std::size_t>(active[row]);
      auto& simulation = simulations_[table];
      auto& outcome = outcomes_[table];
      const auto* actions = chunks.const_data_ptr<float>() + static_cast<std::int64_t>(row) * chunks.stride(0);
      for (int step = 0; step < options_.execute; ++step) {
        if (simulation.outcome() != Simulation::Outcome::running || simulation.steps() >= max_steps) break;
        if (film) outcome.film.push_back(film->render(simulation));
        simulation.step({actions + step * chunks.stride(1), action_size});
      }
      if (film && simulation.outcome() != Simulation::Outcome::running)
        outcome.film.push_back(film->render(simulation));
      outcome.how = simulation.outcome();
      outcome.steps = simulation.steps();
    }
  }

  const vla::Policy& policy_;
  RolloutOptions options_;
  std::vector<Outcome> outcomes_;
  std::vector<Simulation> simulations_;
  vlalign::Features text_;
};

}  // namespace

Cell cell_named(const std::string& name) {
  if (name == "seen") return {};
  if (name == "unseen") return {.combinations = Combinations::unseen};
  if (name == "synonyms") return {.wording = Wording::synonyms};
  if (name == "paraphrase") return {.wording = Wording::paraphrase};
  vlalign::fail("unknown cell '{}': expected one of {}", name, fmt::join(cell_names, ", "));
}

std::vector<Outcome> roll_out(const vla::Policy& policy, const RolloutOptions& options, Camera& camera, Camera* film) {
  vlalign::check(options.execute >= 1 && options.execute <= policy.config().actions.horizon,
                 "execute: expected 1 to the policy's horizon of {}, got {}", policy.config().actions.horizon,
                 options.execute);
  const at::NoGradGuard no_graph;
  std::vector<Outcome> all;
  for (int done = 0; done < options.episodes; done += at_once) {
    Tables tables(policy, options, options.first_episode + done, std::min(at_once, options.episodes - done));
    tables.run(camera, film);
    auto some = std::move(tables).outcomes();
    std::move(some.begin(), some.end(), std::back_inserter(all));
  }
  return all;
}

}  // namespace tabletop
