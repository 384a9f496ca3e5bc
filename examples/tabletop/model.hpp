#pragma once

#include <mujoco/mujoco.h>

#include "tabletop/scene.hpp"

namespace tabletop {

// Where MuJoCo keeps what make_model writes. Joints: the gripper's x, y, z, then each object's x, y, z, yaw. Geoms: the
// table and its mat, which belong to the world, then the gripper's.
inline constexpr int first_finger = 2;
inline constexpr int second_finger = 3;
inline constexpr int pusher = 4;
inline constexpr int joints_of_object(int object) { return 3 + 4 * object; }

/// MuJoCo's model of a scene. An object slides on the table by joints with friction instead of contacts with it: that
/// costs a tenth of the time, and nothing topples or rolls away.
mjModel* make_model(const Scene& scene);

}  // namespace tabletop
