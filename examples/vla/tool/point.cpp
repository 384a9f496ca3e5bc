// tabletop point: whether an aligned model's words point at the object they name.
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/tensor.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>

#include "../camera.hpp"
#include "../words.hpp"
#include "commands.hpp"
#include "vlalign/data/transform.hpp"
#include "vlalign/model/dual_encoder.hpp"
#include "vlalign/nn/dual_encoder.hpp"

namespace tabletop::tool {
namespace {

using vlalign::DualEncoder;
using Module = vlalign::nn::DualEncoderImpl;

constexpr double table_seen = 0.469;  // metres, the picture's width

/// The place, in metres, of the patch that is most like the words: the mean of their cosines.
std::array<double, 2> pointed_at(const DualEncoder& model, const vlalign::Image& image, const std::string& words) {
  const auto& module = *model.module();
  const auto picture = preprocess(image, model.config().preprocess);
  const auto pixels = at::tensor(picture.rgb).view({1, picture.height, picture.width, 3}).permute({0, 3, 1, 2});
  const auto visual = Module::in_joint_space(places(model.image_features(pixels)), module.image_projection)[0];
  const auto tokens = tokenize(*model.tokenizer(), std::vector{words}, model.config().text.context_length);
  const auto text = Module::in_joint_space(model.text_features(tokens).tokens, module.text_projection)[0];
  const auto likeness = visual.matmul(text.narrow(0, 1, text.size(0) - 2).t()).mean(1);  // without start and end
  const auto side = std::sqrt(static_cast<double>(likeness.size(0)));
  const auto best = static_cast<double>(likeness.argmax().item<std::int64_t>());
  const double row = std::floor(best / side), column = best - row * side;
  return {((column + 0.5) / side - 0.5) * table_seen, (0.5 - (row + 0.5) / side) * table_seen};
}

const Object& nearest(const Scene& scene, const std::array<double, 2>& place) {
  const auto is_nearer = [&](const Object& one, const Object& other) {
    return std::hypot(one.x - place[0], one.y - place[1]) < std::hypot(other.x - place[0], other.y - place[1]);
  };
  return *std::min_element(scene.objects.begin(), scene.objects.end(), is_nearer);
}

/// "red cube", "scarlet block"
std::string name_of(const Object& object, bool synonyms) {
  const auto& colour = colours()[static_cast<std::size_t>(object.colour)].english;
  const auto& shape = shapes()[static_cast<std::size_t>(object.shape)].english;
  return colour[synonyms ? 1 : 0] + " " + shape[synonyms ? 1 : 0];
}

void point(const std::string& folder, int scenes, Combinations combinations, bool synonyms) {
  const at::NoGradGuard no_graph;
  const auto model = DualEncoder::load(folder);
  const auto size = model.config().preprocess.image_size;
  Camera camera(size, size);
  int right = 0, of_its_colour = 0, of_its_shape = 0;
  double chance = 0;
  for (int i = 0; i < scenes; ++i) {
    const auto start = make_episode(static_cast<std::uint64_t>(i), combinations, Wording::demonstrated);
    const auto& target = start.scene.objects[static_cast<std::size_t>(start.task.target)];
    const auto place = pointed_at(model, camera.render(Simulation(start)), name_of(target, synonyms));
    const auto& found = nearest(start.scene, place);
    right += &found == &target;
    of_its_colour += &found != &target && found.colour == target.colour;
    of_its_shape += &found != &target && found.shape == target.shape;
    chance += 1 / static_cast<double>(start.scene.objects.size());
  }
  fmt::print(
      "{} of {} scenes: the object nearest to the patch most like the words is the one they name (by chance {:.0f}); "
      "{} times one of the same colour, {} times one of the same shape\n",
      right, scenes, chance, of_its_colour, of_its_shape);
}

}  // namespace

void add_point(CLI::App& program) {
  auto* command =
      program.add_subcommand("point", "Counts how often an aligned model's words point at the object they name");
  const auto model = std::make_shared<std::string>();
  const auto scenes = std::make_shared<int>(300);
  const auto unseen = std::make_shared<bool>(false), synonyms = std::make_shared<bool>(false);
  command->add_option("--model", *model, "a model folder, of two towers whose tokens share the joint space")
      ->required();
  command->add_option("--scenes", *scenes)->check(CLI::PositiveNumber)->capture_default_str();
  command->add_flag("--unseen", *unseen, "of combinations that no demonstration shows");
  command->add_flag("--synonyms", *synonyms, "by the names that only paraphrases use: \"scarlet block\"");
  command->callback([=] { point(*model, *scenes, *unseen ? Combinations::unseen : Combinations::seen, *synonyms); });
}

}  // namespace tabletop::tool
