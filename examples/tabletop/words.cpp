#include "tabletop/words.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <cmath>
#include <cstdlib>
#include <iterator>
#include <optional>
#include <string_view>
#include <utility>

#include "tabletop/scene.hpp"

namespace tabletop {
namespace {

using vlalign::Rng;
using Phrases = std::vector<std::string>;

constexpr double chinese_share = 0.3;

// "{0}" stands for the object, "{1}" for the side.
struct Sentences {
  Phrases grasp;
  Phrases push;
  std::array<Phrases, 4> sides;  // in the order of Side
};

const Sentences& english(Wording wording) {
  static const Sentences demonstrated{
      .grasp = {"pick up the {0}", "pick up the {0} on the table", "pick the {0} up", "lift the {0}",
                "lift the {0} off the table", "take the {0}", "grasp the {0} and lift it", "please pick up the {0}"},
      .push = {"push the {0} {1}", "slide the {0} {1}", "move the {0} {1}", "please push the {0} {1}",
               "push the {0} on the table {1}"},
      .sides = {{{"to the left", "to the left side"},
                 {"to the right", "to the right side"},
                 {"to the near side", "towards me"},
                 {"to the far side", "away from me"}}}};
  static const Sentences paraphrase{
      .grasp = {"raise the {0} into the air", "get hold of the {0} and hoist it", "fetch me the {0}",
                "could you hold up the {0}?", "I want the {0} held up", "the {0} should be hoisted"},
      .push = {"shove the {0} {1}", "nudge the {0} {1}", "could you shift the {0} {1}?", "I want the {0} moved {1}",
               "the {0} should go {1}"},
      .sides = {{{"more to the left", "over to the left edge"},
                 {"more to the right", "over to the right edge"},
                 {"nearer to the front", "closer to us"},
                 {"further to the back", "farther from us"}}}};
  return wording == Wording::paraphrase ? paraphrase : demonstrated;
}

const Sentences& chinese(Wording wording) {
  static const Sentences demonstrated{
      .grasp = {"拿起{0}", "拿起桌上的{0}", "把{0}拿起来", "抓起{0}", "把{0}抓起来", "请拿起{0}"},
      .push = {"把{0}推到{1}", "把{0}推向{1}", "请把{0}推到{1}", "把桌上的{0}推到{1}"},
      .sides = {{{"左边", "左面"}, {"右边", "右面"}, {"近处", "我这边"}, {"远处", "远离我的一边"}}}};
  static const Sentences paraphrase{
      .grasp = {"将{0}举到空中", "帮我举高{0}", "我想让{0}离开桌面", "能不能提起{0}？", "握住{0}再举高"},
      .push = {"将{0}挪往{1}", "帮我移动{0}，去{1}", "我想让{0}靠{1}一些", "能不能使{0}滑至{1}？"},
      .sides = {{{"左侧", "左方"}, {"右侧", "右方"}, {"前侧", "靠前的地方"}, {"后侧", "靠后的地方"}}}};
  return wording == Wording::paraphrase ? paraphrase : demonstrated;
}

const std::string& any(const Phrases& phrases, Rng& rng) { return phrases[rng.below(std::ssize(phrases))]; }

enum class Language { english, chinese };

const Phrases& words(const Name& name, Language language) {
  return language == Language::english ? name.english : name.chinese;
}

const std::string& synonym(const Phrases& words, Rng& rng) { return words[1 + rng.below(std::ssize(words) - 1)]; }

std::string joined(const std::string& size, const std::string& colour, const std::string& shape, Language language) {
  if (language == Language::chinese) return colour + size + shape;
  return size.empty() ? colour + " " + shape : size + " " + colour + " " + shape;
}

// But for demonstrations the shape goes by a synonym, and every other time the colour too.
std::string name_in_instruction(const Object& object, Wording wording, Language language, Rng& rng) {
  const auto& shape = words(shapes()[object.shape], language);
  const auto& colour = words(colours()[object.colour], language);
  const auto& size = words(sizes()[object.size], language);
  const bool tells_size = rng.chance(0.15);
  if (wording == Wording::demonstrated) {
    return joined(tells_size ? size[0] : "", colour[0], shape[0], language);
  }
  return joined(tells_size ? synonym(size, rng) : "", rng.chance(0.5) ? synonym(colour, rng) : colour[0],
                synonym(shape, rng), language);
}

std::string name_in_caption(const Object& object, Language language, Rng& rng) {
  const auto part = [&](const Name& name) {
    const auto& all = words(name, language);
    return rng.chance(0.5) ? all[0] : synonym(all, rng);
  };
  const auto size = rng.chance(0.4) ? part(sizes()[object.size]) : "";
  const auto colour = part(colours()[object.colour]);
  return joined(size, colour, part(shapes()[object.shape]), language);
}

// Thirds of the table: 0 left or near, 1 middle, 2 right or far.
int third(double coordinate) { return coordinate < -0.07 ? 0 : coordinate < 0.07 ? 1 : 2; }

std::string place_in_english(int column, int row, Rng& rng) {
  static const Phrases columns{"left", "middle", "right"};
  static const std::array<Phrases, 3> rows{{{"near", "front"}, {"middle"}, {"far", "back"}}};
  if (row == 1 && column == 1) return rng.chance(0.5) ? "in the middle" : "in the centre";
  if (row == 1) return rng.chance(0.5) ? "on the " + columns[column] : "at the " + columns[column] + " edge";
  const auto& depth = any(rows[row], rng);
  if (column == 1) return "at the " + depth + (rng.chance(0.5) ? " side" : " edge");
  return "at the " + depth + " " + columns[column];
}

std::string place_in_chinese(int column, int row, Rng& rng) {
  static const std::array<Phrases, 3> columns{{{"左边", "左侧"}, {"中间"}, {"右边", "右侧"}}};
  static const std::array<Phrases, 3> rows{{{"近处", "前侧"}, {"中间"}, {"远处", "后侧"}}};
  if (row == 1) return any(columns[column], rng);
  if (column == 1) return any(rows[row], rng);
  return any(rows[row], rng) + any(columns[column], rng);
}

std::string place(const Object& object, Language language, Rng& rng) {
  const auto in_words = language == Language::english ? place_in_english : place_in_chinese;
  return in_words(third(object.x), third(object.y), rng);
}

std::string with_article(const std::string& name) {
  return (std::string_view("aeiou").find(name.front()) == std::string_view::npos ? "a " : "an ") + name;
}

const std::string& any_side(Side side, Language language, Rng& rng) {
  const auto wording = rng.chance(0.5) ? Wording::demonstrated : Wording::paraphrase;
  const auto& sentences = language == Language::english ? english(wording) : chinese(wording);
  return any(sentences.sides[static_cast<std::size_t>(side)], rng);
}

// What is done is told without a name every other time: with one, the name tells pictures apart and the deed need not
// be understood.
std::string name_in_deed(const Object& object, Language language, Rng& rng) {
  if (rng.chance(0.5)) return name_in_caption(object, language, rng);
  return language == Language::english ? "thing" : "东西";
}

std::string about(const Object& object, Language language, Rng& rng) {
  const bool has_deed = object.is_held || object.pushed;
  const auto name = has_deed ? name_in_deed(object, language, rng) : name_in_caption(object, language, rng);
  const auto say = [&](const Phrases& english, const Phrases& chinese) {
    const auto& sentence = any(language == Language::english ? english : chinese, rng);
    return fmt::format(fmt::runtime(sentence), fmt::arg("name", name), fmt::arg("one", with_article(name)),
                       fmt::arg("place", place(object, language, rng)),
                       fmt::arg("side", object.pushed ? any_side(*object.pushed, language, rng) : ""));
  };
  if (object.is_held) {
    return say(
        {"the gripper comes to pick up the {name}", "the gripper comes to pick the {name} up",
         "the robot came to lift the {name} off the table", "the robot came to take the {name}",
         "the robot came to grasp the {name} and lift it", "the robot came to get hold of the {name} and hoist it",
         "{one} held up in the air", "the robot came to raise the {name} into the air",
         "the robot came to fetch the {name}", "the gripper comes to hold up the {name}"},
        {"夹爪来拿起{name}", "夹爪把{name}拿起来", "夹爪抓起{name}", "{name}被举到空中", "夹爪提起{name}",
         "{name}被抓起来，离开桌面", "夹爪握住{name}举高"});
  }
  if (object.pushed) {
    return say({"the gripper comes to push the {name} {side}", "the robot came to slide the {name} {side}",
                "the robot came to move the {name} {side}", "the robot came to shove the {name} {side}",
                "the gripper comes to nudge the {name} {side}", "the robot came to shift the {name} {side}",
                "{one} moved {side}", "the {name} will go {side}"},
               {"夹爪把{name}推向{side}", "夹爪把{name}推到{side}", "{name}被推到{side}", "夹爪将{name}挪往{side}",
                "机器人移动{name}，去{side}", "{name}滑至{side}", "{name}靠{side}一些"});
  }
  if (rng.chance(0.5)) return say({"{one}", "the {name}", "there is {one}"}, {"{name}", "有一个{name}"});
  return say({"the {name} is {place}", "{one} {place}", "there is {one} {place}", "{one} lies {place}"},
             {"{name}在{place}", "有一个{name}在{place}", "{name}位于{place}"});
}

// To which side of the table's middle a point lies, where it does: of two sides either.
std::optional<Side> side_of(double x, double y, Rng& rng) {
  const auto column = third(x);
  const auto row = third(y);
  if (column == 1 && row == 1) return std::nullopt;
  const bool is_across = row == 1 || (column != 1 && rng.chance(0.5));
  if (is_across) return column == 0 ? Side::left : Side::right;
  return row == 0 ? Side::near : Side::far;
}

// Where the gripper is, in the words that instructions have for sides.
std::string about_gripper(Side side, Language language, Rng& rng) {
  const auto& words = any_side(side, language, rng);
  if (language == Language::chinese) return fmt::format("夹爪在{}", words);
  return fmt::format("the gripper {} {}", rng.chance(0.5) ? "is" : "went", words);
}

std::string relation(const Object& one, const Object& other, Language language, Rng& rng) {
  const auto dx = one.x - other.x;
  const auto dy = one.y - other.y;
  const auto side = std::abs(dx) > std::abs(dy) ? (dx < 0 ? 0 : 1) : (dy < 0 ? 2 : 3);
  static const std::array<Phrases, 4> english{{{"to the left of", "left of"},
                                               {"to the right of", "right of"},
                                               {"in front of", "nearer than", "closer than"},
                                               {"behind", "farther away than", "further back than"}}};
  static const std::array<Phrases, 4> chinese{{{"左边", "左侧"}, {"右边", "右侧"}, {"前面"}, {"后面"}}};
  const auto first = name_in_caption(one, language, rng);
  const auto second = name_in_caption(other, language, rng);
  if (language == Language::chinese) return fmt::format("{}在{}的{}", first, second, any(chinese[side], rng));
  return fmt::format("the {} is {} the {}", first, any(english[side], rng), second);
}

std::string about_all(const std::vector<Object>& objects, Language language, Rng& rng) {
  Phrases parts;
  for (const auto& object : objects) {
    auto part = name_in_caption(object, language, rng);
    if (language == Language::english) part = with_article(part);
    parts.push_back(std::move(part));
  }
  for (std::size_t i = parts.size() - 1; i > 0; --i) std::swap(parts[i], parts[rng.below(std::ssize(parts) - 1)]);
  return language == Language::english ? fmt::format("{}", fmt::join(parts, ", "))
                                       : fmt::format("桌上：{}", fmt::join(parts, "，"));
}

}  // namespace

const std::vector<Name>& shapes() {
  static const std::vector<Name> names{{{"cube", "block"}, {"方块", "立方体"}},
                                       {{"cup", "mug"}, {"杯子", "茶杯"}},
                                       {{"cross", "plus"}, {"十字", "加号"}},
                                       {{"bar", "stick"}, {"长条", "棍子"}}};
  return names;
}

const std::vector<Name>& colours() {
  static const std::vector<Name> names{
      {{"red", "scarlet"}, {"红色", "赤色"}},   {{"yellow", "golden"}, {"黄色", "金色"}},
      {{"green", "emerald"}, {"绿色", "翠色"}}, {{"cyan", "turquoise"}, {"青色", "湖水色"}},
      {{"blue", "navy"}, {"蓝色", "靛色"}},     {{"purple", "violet"}, {"紫色", "茄色"}}};
  return names;
}

const std::vector<Name>& sizes() {
  static const std::vector<Name> names{{{"small", "little"}, {"小", "小号"}}, {{"large", "big"}, {"大", "大号"}}};
  return names;
}

std::string instruction(const Scene& scene, const Task& task, Wording wording, Rng& rng) {
  const auto language = rng.chance(chinese_share) ? Language::chinese : Language::english;
  const auto& sentences = language == Language::chinese ? chinese(wording) : english(wording);
  const auto& sentence = any(task.skill == Skill::grasp ? sentences.grasp : sentences.push, rng);
  const auto& side = any(sentences.sides[static_cast<std::size_t>(task.side)], rng);
  const auto name = name_in_instruction(scene.objects[task.target], wording, language, rng);
  return fmt::format(fmt::runtime(sentence), name, side);
}

std::vector<std::string> descriptions(const Scene& scene, Rng& rng) {
  const auto& objects = scene.objects;
  const auto language = [&] { return rng.chance(chinese_share) ? Language::chinese : Language::english; };
  Phrases captions;
  for (const auto& object : objects) captions.push_back(about(object, language(), rng));
  for (const auto& object : objects) {
    if (!object.is_held && !object.pushed) continue;
    for (int i = 0; i < 2; ++i) captions.push_back(about(object, language(), rng));
  }
  if (const auto side = side_of(scene.gripper[0], scene.gripper[1], rng)) {
    for (int i = 0; i < 2; ++i) captions.push_back(about_gripper(*side, language(), rng));
  }
  if (objects.size() > 1) {
    const auto one = rng.below(std::ssize(objects));
    const auto other = (one + 1 + rng.below(std::ssize(objects) - 1)) % std::ssize(objects);
    captions.push_back(relation(objects[one], objects[other], language(), rng));
  }
  for (int i = 0; i < 2; ++i) captions.push_back(about_all(objects, language(), rng));
  return captions;
}

}  // namespace tabletop
