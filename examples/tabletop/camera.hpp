#pragma once

#include <memory>

#include "tabletop/simulation.hpp"
#include "vlalign/image/image.hpp"

namespace tabletop {

/// Draws simulations, from nearly straight above: to the right is x, up is y. Needs no display.
/// One is enough for all simulations of a thread; use it only in the thread that made it.
class Camera {
 public:
  /// Throws Error where no OpenGL context is to be had.
  Camera(int width, int height);
  ~Camera();
  Camera(const Camera&) = delete;
  Camera& operator=(const Camera&) = delete;

  vlalign::Image render(const Simulation& simulation);

 private:
  struct Renderer;
  std::unique_ptr<Renderer> renderer_;
};

}  // namespace tabletop
