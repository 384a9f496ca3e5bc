#pragma once

#include <memory>

#include "simulation.hpp"
#include "vlalign/data/image.hpp"

namespace tabletop {

/// The camera above the table, drawn by OpenGL without a display (EGL's surfaceless platform). It belongs to the thread
/// that makes it.
class Camera {
 public:
  /// Throws Error when there is no such OpenGL.
  Camera(int width, int height);
  ~Camera();
  Camera(Camera&&) noexcept;
  Camera& operator=(Camera&&) noexcept;

  vlalign::Image render(const Simulation& simulation);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tabletop
