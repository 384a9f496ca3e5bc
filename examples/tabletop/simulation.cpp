#include "tabletop/simulation.hpp"

#include <algorithm>
#include <cmath>

#include "core/check.hpp"
#include "tabletop/model.hpp"
#include "tabletop/world.hpp"

namespace tabletop {
namespace {

using Outcome = Simulation::Outcome;

constexpr double grasp_distance = 0.045;  // of the gripper from an object's middle, along the table
constexpr double grasp_height = 0.03;     // the gripper must be lower
constexpr double lifted_height = 0.08;
constexpr double pushed_by = 0.08;
constexpr double pushed_aside = 0.05;
constexpr double displaced = 0.06;
constexpr double opening_a_step = 0.5;
constexpr double opening_around_object = 0.25;
constexpr std::array<double, 3> lowest{-0.22, -0.22, 0.005};
constexpr std::array<double, 3> highest{0.22, 0.22, 0.17};

double* gripper(const World& world) { return world.data->qpos; }
double* pose(const World& world, int object) { return world.data->qpos + joints_of_object(object); }

void draw_fingers(World& world) {
  const auto away = 0.008 + 0.036 * world.opening;
  for (const auto finger : {first_finger, second_finger}) {
    world.model->geom_pos[3 * finger] = finger == first_finger ? -away : away;
  }
}

std::optional<int> within_grasp(const World& world) {
  const auto* hand = gripper(world);
  if (hand[2] > grasp_height) return std::nullopt;
  std::optional<int> nearest;
  double distance = grasp_distance;
  for (int i = 0; i < std::ssize(world.start.scene.objects); ++i) {
    const auto* object = pose(world, i);
    const auto d = std::hypot(object[0] - hand[0], object[1] - hand[1]);
    if (d < distance) {
      distance = d;
      nearest = i;
    }
  }
  return nearest;
}

void take_hold(World& world) {
  world.held = within_grasp(world);
  if (!world.held) return;
  world.opening = opening_around_object;
  for (int axis = 0; axis < 3; ++axis) world.grip[axis] = pose(world, *world.held)[axis] - gripper(world)[axis];
}

// Closing takes hold of what is between the fingers, opening lets it go; a closed, empty gripper pushes.
void move_fingers(World& world, bool closes) {
  if (!closes) {
    world.held.reset();
    world.opening = std::min(world.opening + opening_a_step, 1.0);
  } else if (!world.held && world.opening > 0) {
    world.opening = std::max(world.opening - opening_a_step, 0.0);
    if (world.opening == 0) take_hold(world);
  }
  world.model->geom_contype[pusher] = world.opening == 0 && !world.held ? 2 : 0;
  draw_fingers(world);
}

// The gripper goes where it is told, whatever is in its way, and what it holds goes with it.
void move_gripper(World& world, const std::array<double, 3>& target) {
  auto& data = *world.data;
  const auto substeps = static_cast<int>(std::lround(seconds_per_step / world.model->opt.timestep));
  const std::array<double, 3> from{gripper(world)[0], gripper(world)[1], gripper(world)[2]};
  const auto set = [&](int joint, double place, double velocity) {
    data.qpos[joint] = place;
    data.qvel[joint] = velocity;
  };
  for (int substep = 0; substep <= substeps; ++substep) {
    for (int axis = 0; axis < 3; ++axis) {
      const auto velocity = substep < substeps ? (target[axis] - from[axis]) / seconds_per_step : 0.0;
      const auto place = from[axis] + (target[axis] - from[axis]) * substep / substeps;
      set(axis, place, velocity);
      if (!world.held) continue;
      const auto held_place = place + world.grip[axis];
      set(joints_of_object(*world.held) + axis, axis == 2 ? std::max(held_place, 0.0) : held_place, velocity);
    }
    if (substep < substeps) mj_step(world.model.get(), &data);
  }
  mj_kinematics(world.model.get(), &data);
}

std::optional<Side> pushed(const World& world, int object) {
  const auto* hand = gripper(world);
  const auto* now = pose(world, object);
  const auto& before = world.start.scene.objects[object];
  const auto dx = now[0] - before.x;
  const auto dy = now[1] - before.y;
  const bool is_at_it = !world.held && hand[2] < grasp_height && std::hypot(now[0] - hand[0], now[1] - hand[1]) < 0.07;
  if (!is_at_it || std::hypot(dx, dy) < 0.01) return std::nullopt;
  if (std::abs(dx) > std::abs(dy)) return dx < 0 ? Side::left : Side::right;
  return dy < 0 ? Side::near : Side::far;
}

Outcome judge(const World& world) {
  const auto& task = world.start.task;
  for (int i = 0; i < std::ssize(world.start.scene.objects); ++i) {
    const auto* now = pose(world, i);
    const auto& before = world.start.scene.objects[i];
    const auto dx = now[0] - before.x;
    const auto dy = now[1] - before.y;
    const bool is_lifted = now[2] > lifted_height;
    const bool is_target = i == task.target;
    if (task.skill == Skill::grasp && is_lifted) return is_target ? Outcome::success : Outcome::wrong_object;
    if (task.skill == Skill::grasp) continue;
    if (!is_target && (is_lifted || std::hypot(dx, dy) > displaced)) return Outcome::wrong_object;
    const auto [x, y] = direction(task.side);
    const bool is_there = x * dx + y * dy >= pushed_by && std::abs(x * dy - y * dx) < pushed_aside;
    if (is_target && is_there && world.held != i) return Outcome::success;
  }
  return Outcome::running;
}

}  // namespace

Simulation::Simulation(const EpisodeStart& start) : world_(std::make_unique<World>()) {
  world_->start = start;
  world_->model.reset(make_model(start.scene));
  world_->data.reset(mj_makeData(world_->model.get()));
  std::copy(start.scene.gripper.begin(), start.scene.gripper.end(), gripper(*world_));
  for (int i = 0; i < std::ssize(start.scene.objects); ++i) {
    const auto& object = start.scene.objects[i];
    auto* place = pose(*world_, i);
    place[0] = object.x;
    place[1] = object.y;
    place[3] = object.yaw;
  }
  draw_fingers(*world_);
  mj_forward(world_->model.get(), world_->data.get());
}

Simulation::~Simulation() = default;
Simulation::Simulation(Simulation&&) noexcept = default;
Simulation& Simulation::operator=(Simulation&&) noexcept = default;

void Simulation::step(std::span<const float> action) {
  vlalign::check(std::ssize(action) == action_size, "[Simulation::step] action: expected {} numbers, got {}",
                 action_size, action.size());
  for (const auto value : action) {
    vlalign::check(std::isfinite(value), "[Simulation::step] action: expected finite numbers, got {}", value);
  }
  auto& world = *world_;
  move_fingers(world, action[3] > 0);
  std::array<double, 3> target{};
  for (int axis = 0; axis < 3; ++axis) {
    const auto way = largest_step * std::clamp(static_cast<double>(action[axis]), -1.0, 1.0);
    target[axis] = std::clamp(gripper(world)[axis] + way, lowest[axis], highest[axis]);
  }
  move_gripper(world, target);
  ++world.steps;
  if (world.outcome == Outcome::running) world.outcome = judge(world);
}

std::array<float, state_size> Simulation::state() const {
  const auto* place = gripper(*world_);
  return {static_cast<float>(place[0]), static_cast<float>(place[1]), static_cast<float>(place[2]),
          static_cast<float>(world_->opening)};
}

Outcome Simulation::outcome() const { return world_->outcome; }

std::array<double, 3> Simulation::position(int object) const {
  const auto* place = pose(*world_, object);
  return {place[0], place[1], place[2]};
}

Scene Simulation::scene() const {
  auto scene = world_->start.scene;
  const auto* hand = gripper(*world_);
  scene.gripper = {hand[0], hand[1], hand[2]};
  for (int i = 0; i < std::ssize(scene.objects); ++i) {
    auto& object = scene.objects[i];
    const auto* place = pose(*world_, i);
    object.x = place[0];
    object.y = place[1];
    object.yaw = place[3];
    object.is_held = world_->held == i;
    object.pushed = pushed(*world_, i);
  }
  return scene;
}

int Simulation::steps() const { return world_->steps; }

const World& Simulation::world() const { return *world_; }

}  // namespace tabletop
