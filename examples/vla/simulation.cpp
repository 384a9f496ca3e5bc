#include "simulation.hpp"

#include <fmt/format.h>
#include <mujoco/mujoco.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <string>

namespace tabletop {
namespace {

constexpr int slots = 5;
constexpr int substeps = 40;
constexpr double time_step = 0.1 / substeps;
constexpr double grasp_reach = 0.035, grasp_height = 0.055;
constexpr double reach = 0.24, lowest = 0.012, highest = 0.2;
constexpr double lifted = 0.08, pushed = 0.08, off_the_way = 0.05, disturbed = 0.06;
constexpr int visible = 0, hidden = 4;  // groups of geoms

const std::array<Rgb, colour_count> colours{{{0.85F, 0.08F, 0.08F},
                                             {0.1F, 0.65F, 0.15F},
                                             {0.1F, 0.2F, 0.9F},
                                             {0.95F, 0.85F, 0.05F},
                                             {0.6F, 0.1F, 0.75F},
                                             {1, 1, 1}}};

constexpr std::array<double, size_count> scales{0.9, 1.12};

/// The geoms of a shape, seen from above a square, a disc, a bar, a cross, a disc with a hole, a triangle.
std::string geoms(int shape, double s, const std::string& name) {
  const auto box = [&](double x, double y, double z, const char* part) {
    return fmt::format("<geom class='thing' name='{}{}' type='box' size='{} {} {}' pos='0 0 {}'/>", name, part, x * s,
                       y * s, z * s, z * s);
  };
  switch (shape) {
    case 0:
      return box(0.027, 0.027, 0.027, "a");
    case 1:
      return fmt::format("<geom class='thing' name='{}a' type='sphere' size='{}' pos='0 0 {}'/>", name, 0.03 * s,
                         0.03 * s);
    case 2:
      return box(0.042, 0.014, 0.016, "a");
    case 3:
      return box(0.037, 0.0125, 0.016, "a") + box(0.0125, 0.037, 0.016, "b");
    case 4:
      return fmt::format(
          "<geom class='thing' name='{0}a' type='cylinder' size='{1} {2}' pos='0 0 {2}'/>"
          "<geom class='thing' name='{0}h' type='cylinder' size='{3} {2}' pos='0 0 {4}' contype='0' conaffinity='0'/>",
          name, 0.031 * s, 0.026 * s, 0.017 * s, 0.0265 * s);
    default:
      return fmt::format("<geom class='thing' name='{0}a' type='mesh' mesh='wedge{1}' pos='0 0 0'/>", name,
                         s > 1 ? 1 : 0);
  }
}

std::string wedge(int size) {
  std::string vertices;
  for (const double z : {0.0, 0.04}) {
    for (int corner = 0; corner < 3; ++corner) {
      const double angle = 2.0943951 * corner, r = 0.04;
      vertices += fmt::format("{} {} {} ", r * std::cos(angle) * scales[static_cast<std::size_t>(size)],
                              r * std::sin(angle) * scales[static_cast<std::size_t>(size)],
                              z * scales[static_cast<std::size_t>(size)]);
    }
  }
  return fmt::format("<mesh name='wedge{}' vertex='{}'/>", size, vertices);
}

std::string geom_name(int slot, int shape, int size) { return fmt::format("o{}s{}z{}", slot, shape, size); }

std::string object_body(int slot) {
  auto body = fmt::format(
      "<body name='object{0}'><inertial pos='0 0 0.02' mass='0.1' diaginertia='1e-4 1e-4 1e-4'/>"
      "<joint name='x{0}' type='slide' axis='1 0 0' frictionloss='0.5' damping='0.5'/>"
      "<joint name='y{0}' type='slide' axis='0 1 0' frictionloss='0.5' damping='0.5'/>"
      "<joint name='yaw{0}' type='hinge' axis='0 0 1' frictionloss='0.01' damping='0.002'/>",
      slot);
  for (int shape = 0; shape < shape_count; ++shape) {
    for (int size = 0; size < size_count; ++size)
      body += geoms(shape, scales[static_cast<std::size_t>(size)], geom_name(slot, shape, size));
  }
  return body + "</body>";
}

std::string world() {
  std::string bodies;
  for (int slot = 0; slot < slots; ++slot) bodies += object_body(slot);
  return fmt::format(R"(
<mujoco>
  <compiler angle="radian" inertiafromgeom="false"/>
  <option timestep="{}" gravity="0 0 0"/>
  <size njmax="400" nconmax="60"/>
  <visual>
    <global offwidth="512" offheight="512"/>
    <quality shadowsize="1024" offsamples="4"/>
    <headlight ambient="0.35 0.35 0.35" diffuse="0.15 0.15 0.15" specular="0 0 0"/>
    <map znear="0.05" zfar="20"/>
  </visual>
  <default>
    <default class="thing"><geom contype="0" conaffinity="0" group="4" solref="0.005 1" solimp="0.95 0.99 0.001" condim="3" friction="0.3 0.005 0.0001" mass="0"/></default>
    <default class="drawn"><geom contype="0" conaffinity="0" mass="0"/></default>
  </default>
  <asset>
    <texture type="skybox" builtin="flat" rgb1="0.2 0.2 0.2" width="8" height="8"/>
    {}{}
  </asset>
  <worldbody>
    <light name="lamp" pos="0 0 1" dir="0 0 -1" cutoff="80" exponent="1" castshadow="true" specular="0.1 0.1 0.1"/>
    <camera name="above" pos="0 -0.085 0.62" xyaxes="1 0 0 0 0.99 0.14" fovy="41"/>
    <geom class="drawn" name="floor" type="plane" size="3 3 0.1" pos="0 0 -0.2"/>
    <geom class="drawn" name="table" type="box" size="0.235 0.235 0.02" pos="0 0 -0.02"/>
    {}
    <body name="gripper" mocap="true" pos="0 0 0.1">
      <geom name="stick" solref="0.005 1" solimp="0.95 0.99 0.001" type="cylinder" size="0.018 0.05" pos="0 0 0.05" contype="0" conaffinity="0" group="4" mass="0"/>
      <geom class="drawn" name="bar" type="box" size="0.03 0.005 0.005" pos="0 0 0.075" rgba="0.06 0.06 0.06 1"/>
      <geom class="drawn" name="finger0" type="box" size="0.004 0.008 0.036" pos="0.03 0 0.036" rgba="0.06 0.06 0.06 1"/>
      <geom class="drawn" name="finger1" type="box" size="0.004 0.008 0.036" pos="-0.03 0 0.036" rgba="0.06 0.06 0.06 1"/>
    </body>
  </worldbody>
</mujoco>)",
                     time_step, wedge(0), wedge(1), bodies);
}

mjModel* load_world() {
  const auto xml = world();
  const auto vfs = std::make_unique<mjVFS>();
  mj_defaultVFS(vfs.get());
  mj_makeEmptyFileVFS(vfs.get(), "table.xml", static_cast<int>(xml.size()));
  std::memcpy(vfs->filedata[0], xml.data(), xml.size());
  std::array<char, 1000> error{};
  auto* model = mj_loadXML("table.xml", vfs.get(), error.data(), static_cast<int>(error.size()));
  mj_deleteVFS(vfs.get());
  if (!model) throw std::runtime_error(fmt::format("MuJoCo can't load the table: {}", error.data()));
  return model;
}

int id_of(const mjModel* model, int kind, const std::string& name) {
  const int id = mj_name2id(model, kind, name.c_str());
  if (id < 0) throw std::runtime_error("the table has no " + name);
  return id;
}

void paint(mjModel* model, int geom, const Rgb& rgb) {
  std::copy(rgb.begin(), rgb.end(), model->geom_rgba + 4 * geom);
  model->geom_rgba[4 * geom + 3] = 1;
}

double approach(double from, double to, double by) { return from + std::clamp(to - from, -by, by); }

}  // namespace

const mjModel* base_model() {
  static mjModel* const model = load_world();
  return model;
}

struct Simulation::State {
  explicit State(const EpisodeStart& start)
      : task(start.task),
        objects(static_cast<int>(start.scene.objects.size())),
        model(mj_copyModel(nullptr, base_model())),
        data(mj_makeData(model)),
        gripper(start.scene.gripper) {
    dress(start.scene);
    for (int i = 0; i < objects; ++i) put(i, start.scene.objects[static_cast<std::size_t>(i)]);
    for (int i = objects; i < slots; ++i) model->body_pos[3 * body(i) + 2] = -5;
    move_gripper();
    mj_forward(model, data);
    for (int i = 0; i < objects; ++i) first.push_back(place(i));
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    mj_deleteData(data);
    mj_deleteModel(model);
  }

  Task task;
  int objects;
  mjModel* model;
  mjData* data;
  std::array<double, 3> gripper;
  double opening = 1;
  bool stick = false;
  int held = -1;
  std::array<double, 2> held_off{};
  int steps = 0;
  Outcome outcome = Outcome::running;
  std::vector<std::array<double, 3>> first;

  int body(int object) const { return id_of(model, mjOBJ_BODY, fmt::format("object{}", object)); }
  int joint(int object) const { return 3 * object; }  // the first of its three, which are all there are

  std::array<double, 3> place(int object) const {
    return {data->qpos[joint(object)], data->qpos[joint(object) + 1], model->body_pos[3 * body(object) + 2]};
  }

  void dress(const Scene& scene) {
    paint(model, id_of(model, mjOBJ_GEOM, "table"), scene.table);
    paint(model, id_of(model, mjOBJ_GEOM, "floor"), scene.floor);
    const auto lamp = id_of(model, mjOBJ_LIGHT, "lamp");
    const double far = std::hypot(scene.lamp[0], scene.lamp[1], scene.lamp[2]);
    for (int i = 0; i < 3; ++i) {
      const auto at = static_cast<std::size_t>(i);
      model->light_pos[3 * lamp + i] = scene.lamp[at];
      model->light_dir[3 * lamp + i] = -scene.lamp[at] / far;
      model->light_diffuse[3 * lamp + i] = static_cast<float>(0.75 * scene.brightness);
    }
    const auto camera = id_of(model, mjOBJ_CAMERA, "above");
    for (int i = 0; i < 2; ++i) model->cam_pos[3 * camera + i] += scene.camera[static_cast<std::size_t>(i)];
  }

  /// Shows an object's geoms and lets them collide.
  void put(int slot, const Object& object) {
    const auto prefix = geom_name(slot, object.shape, object.size);
    for (int geom = 0; geom < model->ngeom; ++geom) {
      const std::string name = model->names + model->name_geomadr[geom];
      if (!name.starts_with(prefix)) continue;
      model->geom_group[geom] = visible;
      const bool hole = name.back() == 'h';
      paint(model, geom, hole ? Rgb{0.04F, 0.04F, 0.04F} : colours[static_cast<std::size_t>(object.colour)]);
      if (!hole) model->geom_contype[geom] = model->geom_conaffinity[geom] = 1;
    }
    data->qpos[joint(slot)] = object.x;
    data->qpos[joint(slot) + 1] = object.y;
    data->qpos[joint(slot) + 2] = object.yaw;
  }

  void let_collide(int object, bool on) {
    for (int geom = 0; geom < model->ngeom; ++geom) {
      const bool solid =
          model->geom_bodyid[geom] == body(object) && model->geom_group[geom] == visible &&
          model->names[model->name_geomadr[geom] + std::strlen(model->names + model->name_geomadr[geom]) - 1] != 'h';
      if (solid) model->geom_contype[geom] = model->geom_conaffinity[geom] = on ? 1 : 0;
    }
  }

  void move_gripper() {
    std::copy(gripper.begin(), gripper.end(), data->mocap_pos);
    const auto stick_geom = id_of(model, mjOBJ_GEOM, "stick");
    model->geom_contype[stick_geom] = model->geom_conaffinity[stick_geom] = stick ? 1 : 0;
    const double aside = 0.009 + 0.02 * opening;
    model->geom_pos[3 * id_of(model, mjOBJ_GEOM, "finger0")] = aside;
    model->geom_pos[3 * id_of(model, mjOBJ_GEOM, "finger1")] = -aside;
    if (held < 0) return;
    for (int i = 0; i < 2; ++i) {
      data->qpos[joint(held) + i] = gripper[static_cast<std::size_t>(i)] + held_off[static_cast<std::size_t>(i)];
      data->qvel[joint(held) + i] = 0;
    }
    data->qvel[joint(held) + 2] = 0;
    model->body_pos[3 * body(held) + 2] = std::max(0.0, gripper[2] - grasp_from);
  }
  double grasp_from = 0;

  void grip(bool close) {
    const double before = opening;
    opening = approach(opening, close ? 0 : 1, 0.5);
    if (opening > 0) {
      if (held >= 0) release();
      stick = false;
    } else if (before > 0) {
      if (gripper[2] > grasp_height) {
        stick = true;
      } else {
        grasp();
      }
    }
  }

  void grasp() {
    for (int i = 0; i < objects; ++i) {
      const auto at = place(i);
      if (std::hypot(at[0] - gripper[0], at[1] - gripper[1]) > grasp_reach) continue;
      held = i;
      held_off = {at[0] - gripper[0], at[1] - gripper[1]};
      grasp_from = gripper[2];
      let_collide(i, false);
      return;
    }
  }

  void release() {
    model->body_pos[3 * body(held) + 2] = 0;
    let_collide(held, true);
    held = -1;
  }

  void judge() {
    if (outcome != Outcome::running) return;
    for (int i = 0; i < objects; ++i) {
      const auto at = place(i);
      const auto& from = first[static_cast<std::size_t>(i)];
      const double dx = at[0] - from[0], dy = at[1] - from[1];
      if (i != task.target) {
        if (at[2] > lifted || std::hypot(dx, dy) > disturbed) outcome = Outcome::wrong_object;
        continue;
      }
      const auto [sx, sy] = direction(task.side);
      const bool there = task.skill == Skill::grasp
                             ? at[2] > lifted
                             : dx * sx + dy * sy > pushed && std::abs(dx * sy - dy * sx) < off_the_way && at[2] == 0;
      if (there) outcome = Outcome::success;
    }
  }
};

Simulation::Simulation(const EpisodeStart& start) : state_(std::make_unique<State>(start)) {}
Simulation::~Simulation() = default;
Simulation::Simulation(Simulation&&) noexcept = default;
Simulation& Simulation::operator=(Simulation&&) noexcept = default;

void Simulation::step(std::span<const float> action) {
  auto& s = *state_;
  if (action.size() != action_dims) throw std::invalid_argument("an action has 4 numbers");
  std::array<double, 3> by{};
  for (std::size_t i = 0; i < 3; ++i) by[i] = std::clamp(static_cast<double>(action[i]), -1.0, 1.0) * step_length;
  s.grip(action[3] > 0);
  for (int sub = 0; sub < substeps; ++sub) {
    for (std::size_t i = 0; i < 3; ++i) s.gripper[i] += by[i] / substeps;
    for (std::size_t i = 0; i < 2; ++i) s.gripper[i] = std::clamp(s.gripper[i], -reach, reach);
    s.gripper[2] = std::clamp(s.gripper[2], lowest, highest);
    s.move_gripper();
    mj_step(s.model, s.data);
  }
  ++s.steps;
  s.judge();
}

void Simulation::knock(double dx, double dy) {
  auto& s = *state_;
  s.gripper[0] = std::clamp(s.gripper[0] + dx, -reach, reach);
  s.gripper[1] = std::clamp(s.gripper[1] + dy, -reach, reach);
  s.move_gripper();
  mj_forward(s.model, s.data);
}

std::array<float, state_dims> Simulation::state() const {
  const auto& s = *state_;
  return {static_cast<float>(s.gripper[0]), static_cast<float>(s.gripper[1]), static_cast<float>(s.gripper[2]),
          static_cast<float>(s.opening)};
}

std::array<double, 3> Simulation::position(int object) const { return state_->place(object); }
double Simulation::yaw(int object) const { return state_->data->qpos[state_->joint(object) + 2]; }
int Simulation::steps() const { return state_->steps; }
int Simulation::held() const { return state_->held; }
bool Simulation::is_stick() const { return state_->stick; }
Simulation::Outcome Simulation::outcome() const { return state_->outcome; }
const mjModel* Simulation::model() const { return state_->model; }
mjData* Simulation::data() const { return state_->data; }

}  // namespace tabletop
