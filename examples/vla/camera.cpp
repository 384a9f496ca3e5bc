#include "camera.hpp"

#include <EGL/egl.h>
#include <EGL/eglext.h>
#include <mujoco/mujoco.h>

#include <algorithm>

#include "core/check.hpp"

namespace tabletop {
namespace {

using vlalign::check;

/// An OpenGL context without a surface, current in this thread.
class Egl {
 public:
  Egl() : display_(eglGetPlatformDisplay(EGL_PLATFORM_SURFACELESS_MESA, EGL_DEFAULT_DISPLAY, nullptr)) {
    check(display_ != EGL_NO_DISPLAY && eglInitialize(display_, nullptr, nullptr),
          "[Camera] EGL has no surfaceless platform: install libegl-mesa0 and libgl1-mesa-dri");
    eglBindAPI(EGL_OPENGL_API);
    const EGLint wanted[] = {EGL_SURFACE_TYPE, EGL_PBUFFER_BIT, EGL_RENDERABLE_TYPE, EGL_OPENGL_BIT, EGL_NONE};
    EGLConfig config = nullptr;
    EGLint count = 0;
    eglChooseConfig(display_, wanted, &config, 1, &count);
    check(count > 0, "[Camera] EGL has no configuration for OpenGL");
    context_ = eglCreateContext(display_, config, EGL_NO_CONTEXT, nullptr);
    check(context_ != EGL_NO_CONTEXT && eglMakeCurrent(display_, EGL_NO_SURFACE, EGL_NO_SURFACE, context_),
          "[Camera] EGL can't make an OpenGL context");
  }
  Egl(const Egl&) = delete;
  Egl& operator=(const Egl&) = delete;
  ~Egl() {
    eglMakeCurrent(display_, EGL_NO_SURFACE, EGL_NO_SURFACE, EGL_NO_CONTEXT);
    eglDestroyContext(display_, context_);
  }

 private:
  EGLDisplay display_;
  EGLContext context_ = EGL_NO_CONTEXT;
};

}  // namespace

struct Camera::State {
  State(int width, int height) : view{0, 0, width, height} {
    mjv_defaultScene(&scene);
    mjv_makeScene(base_model(), &scene, 300);
    mjv_defaultOption(&option);
    mjv_defaultCamera(&camera);
    camera.type = mjCAMERA_FIXED;
    camera.fixedcamid = 0;
    mjr_defaultContext(&context);
    mjr_makeContext(base_model(), &context, mjFONTSCALE_50);
    mjr_setBuffer(mjFB_OFFSCREEN, &context);
    check(context.currentBuffer == mjFB_OFFSCREEN, "[Camera] MuJoCo has no offscreen buffer");
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    mjr_freeContext(&context);
    mjv_freeScene(&scene);
  }

  Egl egl;
  mjrRect view;
  mjvScene scene;
  mjvOption option;
  mjvCamera camera;
  mjrContext context;
};

Camera::Camera(int width, int height) : state_(std::make_unique<State>(width, height)) {}
Camera::~Camera() = default;
Camera::Camera(Camera&&) noexcept = default;
Camera& Camera::operator=(Camera&&) noexcept = default;

vlalign::Image Camera::render(const Simulation& simulation) {
  auto& s = *state_;
  mj_kinematics(simulation.model(), simulation.data());
  mj_camlight(simulation.model(), simulation.data());
  mjv_updateScene(simulation.model(), simulation.data(), &s.option, nullptr, &s.camera, mjCAT_ALL, &s.scene);
  mjr_render(s.view, &s.scene, &s.context);
  vlalign::Image image{s.view.width, s.view.height, {}};
  const auto row = static_cast<std::size_t>(3 * image.width);
  image.rgb.resize(row * static_cast<std::size_t>(image.height));
  mjr_readPixels(image.rgb.data(), nullptr, s.view, &s.context);
  for (int top = 0, bottom = image.height - 1; top < bottom; ++top, --bottom) {  // OpenGL's rows go up
    auto* a = image.rgb.data() + row * static_cast<std::size_t>(top);
    std::swap_ranges(a, a + row, image.rgb.data() + row * static_cast<std::size_t>(bottom));
  }
  return image;
}

}  // namespace tabletop
