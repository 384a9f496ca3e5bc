// tabletop point: whether an aligned model's words point at the object they name.
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/tensor.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <string>

#include "tabletop/camera.hpp"
#include "tabletop/tool/commands.hpp"
#include "tabletop/words.hpp"
#include "vlalign/image/transform.hpp"
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

constexpr std::array ways_to_ask{"name", "synonyms", "instruction", "paraphrase"};

/// "red cube", "scarlet block", "pick up the red cube", "get hold of the scarlet block and hoist it"
std::string question(const EpisodeStart& start, const std::string& by) {
  if (by == "instruction" || by == "paraphrase") return start.instruction;
  const auto& target = start.scene.objects[static_cast<std::size_t>(start.task.target)];
  const std::size_t which = by == "synonyms" ? 1 : 0;
  return colours()[static_cast<std::size_t>(target.colour)].english[which] + " " +
         shapes()[static_cast<std::size_t>(target.shape)].english[which];
}

void point(const std::string& folder, int scenes, Combinations combinations, const std::string& by) {
  const at::NoGradGuard no_graph;
  const auto model = DualEncoder::load(folder);
  const auto size = model.config().preprocess.image_size;
  Camera camera(size, size);
  int right = 0, of_its_colour = 0, of_its_shape = 0;
  double chance = 0;
  for (int i = 0; i < scenes; ++i) {
    const auto wording = by == "paraphrase" ? Wording::paraphrase : Wording::demonstrated;
    const auto start = make_episode(static_cast<std::uint64_t>(i), combinations, wording);
    const auto& target = start.scene.objects[static_cast<std::size_t>(start.task.target)];
    const auto place = pointed_at(model, camera.render(Simulation(start)), question(start, by));
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
  const auto unseen = std::make_shared<bool>(false);
  const auto by = std::make_shared<std::string>(ways_to_ask.front());
  command->add_option("--model", *model, "a model folder, of two towers whose tokens share the joint space")
      ->required();
  command->add_option("--scenes", *scenes)->check(CLI::PositiveNumber)->capture_default_str();
  command->add_flag("--unseen", *unseen, "of combinations that no demonstration shows");
  command->add_option("--by", *by, "how it is named: \"red cube\", \"scarlet block\", or in a whole instruction")
      ->check(CLI::IsMember(std::vector<std::string>(ways_to_ask.begin(), ways_to_ask.end())))
      ->capture_default_str();
  command->callback([=] { point(*model, *scenes, *unseen ? Combinations::unseen : Combinations::seen, *by); });
}

}  // namespace tabletop::tool
