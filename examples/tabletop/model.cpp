#include "tabletop/model.hpp"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <cstring>
#include <memory>
#include <mutex>
#include <numbers>
#include <string>

#include "core/check.hpp"

namespace tabletop {
namespace {

constexpr std::array<Colour, 6> paints{
    {{0.85, 0.08, 0.08}, {0.95, 0.85, 0.08}, {0.1, 0.65, 0.12}, {0.1, 0.8, 0.85}, {0.1, 0.2, 0.9}, {0.62, 0.12, 0.78}}};
constexpr std::array<double, 2> half_widths{0.031, 0.04};

// The slides end farther out than the gripper can push, or it would squeeze things out sideways there.
constexpr const char* frame = R"(<mujoco>
  <compiler angle="radian"/>
  <option timestep="0.005" iterations="20"/>
  <size nconmax="100" njmax="500"/>
  <statistic extent="1" center="0 0 0"/>
  <visual>
    <global offwidth="64" offheight="64"/>
    <quality offsamples="4" shadowsize="512"/>
    <headlight ambient="{ambient} {ambient} {ambient}" diffuse="0 0 0" specular="0 0 0"/>
    <map znear="0.5" zfar="5" shadowclip="0.6"/>
  </visual>
  <default>
    <joint damping="0.5"/>
    <geom contype="0" conaffinity="0"/>
    <default class="object">
      <geom contype="1" conaffinity="3" condim="3" friction="0.4 0.005 0.0001"/>
    </default>
    <default class="slide"><joint type="slide" limited="true" range="-0.31 0.31" frictionloss="0.6"/></default>
  </default>
  <worldbody>
    <light pos="{light}" dir="{light_direction}" diffuse="{strength} {strength} {strength}" specular="0.2 0.2 0.2"
           directional="true" castshadow="true"/>
    <camera pos="{camera}" xyaxes="1 0 0 0 0.991 0.132" fovy="17.8"/>
    <body>
      <joint type="slide" axis="1 0 0"/>
      <joint type="slide" axis="0 1 0"/>
      <joint type="slide" axis="0 0 1"/>
      <inertial pos="0 0 0" mass="100" diaginertia="1 1 1"/>
      <geom type="box" pos="-0.04 0 0.03" size="0.008 0.016 0.03" rgba="0.05 0.05 0.05 1"/>
      <geom type="box" pos="0.04 0 0.03" size="0.008 0.016 0.03" rgba="0.05 0.05 0.05 1"/>
      <geom type="cylinder" pos="0 0 0.025" size="0.012 0.025" rgba="0 0 0 0" friction="0.4 0.005 0.0001"/>
    </body>
    <geom type="box" size="1 1 0.02" pos="0 0 -0.0205" rgba="{table} 1"/>
    <geom type="box" size="{mat_size} 0.02" pos="{mat} -0.02" rgba="{background} 1"/>{objects}
  </worldbody>
</mujoco>)";

template <typename Numbers>
std::string joined(const Numbers& numbers) {
  return fmt::format("{}", fmt::join(numbers, " "));
}

std::string geom(std::string_view type, std::string_view size, double z, std::string_view rgba) {
  return fmt::format("\n      <geom class=\"object\" type=\"{}\" size=\"{}\" pos=\"0 0 {}\" rgba=\"{} 1\"/>", type,
                     size, z, rgba);
}

// In the order of shapes().
std::string geoms(const Object& object) {
  const auto half = half_widths[object.size];
  const auto& paint = paints[object.colour];
  const auto rgba = joined(paint);
  switch (object.shape) {
    case 0:
      return geom("box", fmt::format("{0} {0} 0.02", half * 0.92), 0.02, rgba);
    case 1: {
      const auto inside = fmt::format("{} {} {}", 0.12 * paint[0], 0.12 * paint[1], 0.12 * paint[2]);
      return geom("cylinder", fmt::format("{} 0.025", half), 0.025, rgba) +
             geom("cylinder", fmt::format("{} 0.0255", 0.66 * half), 0.0255, inside);
    }
    case 2:
      return geom("box", fmt::format("{} {} 0.015", 1.15 * half, 0.35 * half), 0.015, rgba) +
             geom("box", fmt::format("{} {} 0.015", 0.35 * half, 1.15 * half), 0.015, rgba);
    default:
      return geom("box", fmt::format("{} {} 0.015", 1.25 * half, 0.4 * half), 0.015, rgba);
  }
}

std::string bodies(const std::vector<Object>& objects) {
  std::string xml;
  for (const auto& object : objects) {
    xml += fmt::format(R"(
    <body>
      <joint class="slide" axis="1 0 0"/>
      <joint class="slide" axis="0 1 0"/>
      <joint type="slide" axis="0 0 1" limited="true" range="0 1"/>
      <joint type="hinge" axis="0 0 1" damping="0.0005" frictionloss="0.008"/>
      <inertial pos="0 0 0.02" mass="0.1" diaginertia="4e-5 4e-5 4e-5"/>{}
    </body>)",
                       geoms(object));
  }
  return xml;
}

std::string to_xml(const Scene& scene) {
  const auto& [light, strength, ambient] = scene.light;
  const std::array light_direction{-light[0], -light[1], -light[2]};
  const std::array camera{scene.camera[0], -0.2 + scene.camera[1], 1.5 + scene.camera[2]};
  const auto& mat = scene.mat;
  return fmt::format(fmt::runtime(frame), fmt::arg("ambient", ambient), fmt::arg("light", joined(light)),
                     fmt::arg("light_direction", joined(light_direction)), fmt::arg("strength", strength),
                     fmt::arg("camera", joined(camera)), fmt::arg("table", joined(scene.table)),
                     fmt::arg("mat", fmt::format("{} {}", mat[0], mat[1])),
                     fmt::arg("mat_size", fmt::format("{} {}", mat[2], mat[3])),
                     fmt::arg("background", joined(scene.background)), fmt::arg("objects", bodies(scene.objects)));
}

}  // namespace

mjModel* make_model(const Scene& scene) {
  static std::mutex mutex;  // MuJoCo's reader of XML keeps the last model in a global
  const std::lock_guard lock(mutex);
  const auto xml = to_xml(scene);
  auto files = std::make_unique<mjVFS>();
  mj_defaultVFS(files.get());
  constexpr const char* name = "tabletop.xml";
  mj_makeEmptyFileVFS(files.get(), name, static_cast<int>(xml.size()));
  std::memcpy(files->filedata[mj_findFileVFS(files.get(), name)], xml.data(), xml.size());
  std::array<char, 1000> error{};
  auto* model = mj_loadXML(name, files.get(), error.data(), error.size());
  mj_deleteFileVFS(files.get(), name);
  vlalign::check(model != nullptr, "[tabletop] MuJoCo cannot read the scene: {}", error.data());
  return model;
}

}  // namespace tabletop
