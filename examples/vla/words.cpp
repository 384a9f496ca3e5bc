#include "words.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <string_view>

namespace tabletop {
namespace {

using vlalign::Rng;
using Words = std::vector<std::string_view>;

/// Everything in two wordings: what demonstrations say, and what they never say.
struct Language {
  std::string_view name;  // {c} colour, {z} size and a space or nothing, {s} shape
  std::vector<Words> colours[2], shapes[2];
  Words sizes, sides[2];
  Words grasp[2], push[2];  // {o} the object, {d} the side
};

const Language english{
    .name = "{z}{c} {s}",
    .colours = {{{"red"}, {"green"}, {"blue"}, {"yellow"}, {"purple"}, {"white"}},
                {{"crimson", "scarlet"}, {"emerald"}, {"azure"}, {"golden"}, {"violet"}, {"ivory"}}},
    .shapes = {{{"block"}, {"ball"}, {"bar"}, {"cross"}, {"cup"}, {"triangle"}},
               {{"cube", "box"}, {"sphere"}, {"stick", "rod"}, {"plus sign"}, {"mug"}, {"wedge"}}},
    .sizes = {"small ", "big "},
    .sides = {{"left", "right", "front", "back"}, {"left side", "right side", "near side", "far side"}},
    .grasp = {{"pick up the {o}", "pick up the {o} on the table", "grasp the {o}", "take the {o}", "lift the {o}"},
              {"please grab the {o}", "could you get me the {o}", "raise the {o} off the table", "hold up the {o}"}},
    .push = {{"push the {o} to the {d}", "move the {o} to the {d}", "push the {o} on the table to the {d}"},
             {"shove the {o} over to the {d}", "please slide the {o} towards the {d}", "nudge the {o} to the {d}"}}};

const Language chinese{.name = "{z}{c}{s}",
                       .colours = {{{"红色"}, {"绿色"}, {"蓝色"}, {"黄色"}, {"紫色"}, {"白色"}},
                                   {{"红的"}, {"绿的"}, {"蓝的"}, {"黄的"}, {"紫的"}, {"白的"}}},
                       .shapes = {{{"方块"}, {"球"}, {"长条"}, {"十字"}, {"杯子"}, {"三角块"}},
                                  {{"立方体"}, {"圆球"}, {"棍子"}, {"加号"}, {"水杯"}, {"三角形"}}},
                       .sizes = {"小", "大"},
                       .sides = {{"左边", "右边", "前面", "后面"}, {"左侧", "右侧", "近处", "远处"}},
                       .grasp = {{"拿起{o}", "抓住{o}", "把{o}拿起来", "拿起桌上的{o}"},
                                 {"请帮我取一下{o}", "举起{o}", "麻烦把{o}提起来"}},
                       .push = {{"把{o}推到{d}", "将{o}推向{d}"}, {"请把{o}挪到{d}去", "将{o}移往{d}"}}};

std::string_view one_of(const Words& words, Rng& rng) {
  return words[static_cast<std::size_t>(rng.below(std::ssize(words)))];
}

std::string filled(std::string_view pattern, std::string_view mark, std::string_view with) {
  std::string text(pattern);
  if (const auto place = text.find(mark); place != text.npos) text.replace(place, mark.size(), with);
  return text;
}

std::size_t at(int i) { return static_cast<std::size_t>(i); }

std::string name_of(const Language& language, const Object& object, bool other, Rng& rng) {
  const std::string_view size = rng.chance(0.25) ? language.sizes[at(object.size)] : "";
  const auto shape = one_of(language.shapes[other][at(object.shape)], rng);
  const auto colour = one_of(language.colours[other][at(object.colour)], rng);
  return filled(filled(filled(language.name, "{z}", size), "{c}", colour), "{s}", shape);
}

const Language& any_language(Rng& rng) { return rng.chance(0.3) ? chinese : english; }

/// Thirds of the table: -1, 0, 1.
int third(double place) { return place < -0.06 ? -1 : place > 0.06 ? 1 : 0; }

std::string place_of(const Language& language, const Object& object) {
  static const std::string_view words[2][3][3] = {
      {{"near left", "near middle", "near right"},
       {"left", "middle", "right"},
       {"far left", "far middle", "far right"}},
      {{"左前方", "前方", "右前方"}, {"左边", "中间", "右边"}, {"左后方", "后方", "右后方"}}};
  return std::string(words[&language == &chinese][third(object.y) + 1][third(object.x) + 1]);
}

std::string with_place(const Language& language, const Object& object, Rng& rng) {
  const auto name = name_of(language, object, rng.chance(0.5), rng);
  const auto place = place_of(language, object);
  return &language == &chinese ? place + "有" + name : fmt::format("a {} at the {}", name, place);
}

std::string two_objects(const Language& language, const Object& a, const Object& b, Rng& rng) {
  return with_place(language, a, rng) + (&language == &chinese ? "，" : ", ") + with_place(language, b, rng);
}

std::string relation(const Language& language, const Object& a, const Object& b, Rng& rng) {
  const bool across = std::abs(a.x - b.x) > std::abs(a.y - b.y);
  const int which = across ? (a.x < b.x ? 0 : 1) : (a.y < b.y ? 2 : 3);
  static const std::string_view words[2][4] = {{"left of", "right of", "in front of", "behind"},
                                               {"左边", "右边", "前面", "后面"}};
  const auto first = name_of(language, a, rng.chance(0.5), rng), second = name_of(language, b, rng.chance(0.5), rng);
  const auto word = words[&language == &chinese][which];
  return &language == &chinese ? fmt::format("{}在{}的{}", first, second, word)
                               : fmt::format("the {} is {} the {}", first, word, second);
}

std::string action(const Language& language, const Scene& scene, const Doing& doing, Rng& rng) {
  const auto name = name_of(language, scene.objects[at(doing.object)], rng.chance(0.5), rng);
  static const Words holding[2] = {
      {"the gripper picks up the {o}", "the gripper grasps the {o}", "the gripper lifts the {o}",
       "the gripper raises the {o}", "the gripper grabs the {o}", "the gripper holds up the {o}",
       "the gripper takes the {o}", "the gripper gets the {o}"},
      {"夹爪拿起了{o}", "夹爪抓住了{o}", "夹爪举起了{o}", "夹爪提起了{o}", "夹爪取了{o}"}};
  static const Words pushing[2] = {{"the gripper pushes the {o} to the {d}", "the gripper shoves the {o} to the {d}",
                                    "the gripper slides the {o} to the {d}", "the gripper nudges the {o} to the {d}",
                                    "the gripper moves the {o} to the {d}"},
                                   {"夹爪在推{o}到{d}", "夹爪把{o}挪向{d}", "夹爪把{o}移向{d}"}};
  const bool zh = &language == &chinese;
  if (doing.what == Doing::What::holding) return filled(one_of(holding[zh], rng), "{o}", name);
  const auto where = language.sides[rng.chance(0.5)][static_cast<std::size_t>(doing.side)];
  return filled(filled(one_of(pushing[zh], rng), "{o}", name), "{d}", where);
}

}  // namespace

std::string instruction(const Scene& scene, const Task& task, Wording wording, Rng& rng) {
  const bool other = wording == Wording::paraphrase;
  const auto& language = any_language(rng);
  const auto name = name_of(language, scene.objects[at(task.target)], other, rng);
  const auto& patterns = task.skill == Skill::grasp ? language.grasp[other] : language.push[other];
  const auto side = language.sides[other][static_cast<std::size_t>(task.side)];
  return filled(filled(one_of(patterns, rng), "{o}", name), "{d}", side);
}

std::vector<std::string> descriptions(const Scene& scene, const Doing& doing, Rng& rng) {
  std::vector<std::string> all;
  const auto any = [&]() -> const Object& {
    return scene.objects[at(static_cast<int>(rng.below(std::ssize(scene.objects))))];
  };
  for (int i = 0; i < 2; ++i) all.push_back(with_place(any_language(rng), any(), rng));
  for (int i = 0; i < 6; ++i) {
    const auto& a = any();
    const auto& b = any();
    if (&a == &b) continue;
    const auto& language = any_language(rng);
    all.push_back(i < 4 ? two_objects(language, a, b, rng) : relation(language, a, b, rng));
  }
  if (doing.what != Doing::What::nothing)
    for (int i = 0; i < 4; ++i) all.push_back(action(any_language(rng), scene, doing, rng));
  return all;
}

}  // namespace tabletop
