#include "tabletop/camera.hpp"

#include <EGL/egl.h>
#include <EGL/eglext.h>

#include <algorithm>
#include <cstdlib>
#include <mutex>

#include "core/check.hpp"
#include "tabletop/world.hpp"

namespace tabletop {
namespace {

// A context of desktop OpenGL without any surface: MuJoCo draws into a buffer of its own.
class Context {
 public:
  Context() {
    // Threads of Mesa's llvmpipe cost pictures this small more than they give.
    setenv("LP_NUM_THREADS", "0", /*overwrite=*/0);
    const auto get_display =
        reinterpret_cast<PFNEGLGETPLATFORMDISPLAYEXTPROC>(eglGetProcAddress("eglGetPlatformDisplayEXT"));
    if (get_display) display_ = get_display(EGL_PLATFORM_SURFACELESS_MESA, EGL_DEFAULT_DISPLAY, nullptr);
    vlalign::check(display_ != EGL_NO_DISPLAY && eglInitialize(display_, nullptr, nullptr),
                   "[Camera] EGL has no surfaceless display here; Mesa's EGL (Debian: libegl-mesa0) brings one");
    eglBindAPI(EGL_OPENGL_API);
    constexpr EGLint wanted[] = {EGL_SURFACE_TYPE, 0, EGL_RENDERABLE_TYPE, EGL_OPENGL_BIT, EGL_NONE};
    EGLConfig config{};
    EGLint found = 0;
    eglChooseConfig(display_, wanted, &config, 1, &found);
    context_ = eglCreateContext(display_, found > 0 ? config : nullptr, EGL_NO_CONTEXT, nullptr);
    vlalign::check(context_ != EGL_NO_CONTEXT, "[Camera] EGL cannot make an OpenGL context: error {:#x}",
                   eglGetError());
  }
  ~Context() {
    eglMakeCurrent(display_, EGL_NO_SURFACE, EGL_NO_SURFACE, EGL_NO_CONTEXT);
    eglDestroyContext(display_, context_);
  }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  void make_current() const {
    if (eglGetCurrentContext() == context_) return;
    vlalign::check(eglMakeCurrent(display_, EGL_NO_SURFACE, EGL_NO_SURFACE, context_),
                   "[Camera] EGL cannot switch to its context: error {:#x}", eglGetError());
  }

 private:
  EGLDisplay display_ = EGL_NO_DISPLAY;
  EGLContext context_ = EGL_NO_CONTEXT;
};

}  // namespace

struct Camera::Renderer {
  Context context;
  int width;
  int height;
  mjrContext drawing;
  mjvScene scene;
  bool is_ready = false;

  Renderer(int w, int h) : width(w), height(h) {
    mjr_defaultContext(&drawing);
    mjv_defaultScene(&scene);
  }
  ~Renderer() {
    if (!is_ready) return;
    context.make_current();
    mjr_freeContext(&drawing);
    mjv_freeScene(&scene);
  }

  // The meshes of the first model stand for those of every other.
  void prepare(const mjModel& model) {
    context.make_current();
    if (is_ready) return;
    static std::mutex mutex;  // MuJoCo looks up OpenGL's functions into globals
    const std::lock_guard lock(mutex);
    auto sized = model;
    sized.vis.global.offwidth = width;
    sized.vis.global.offheight = height;
    mjr_makeContext(&sized, &drawing, mjFONTSCALE_50);
    mjv_makeScene(&model, &scene, 64);
    mjr_setBuffer(mjFB_OFFSCREEN, &drawing);
    vlalign::check(drawing.currentBuffer == mjFB_OFFSCREEN, "[Camera] OpenGL gives no buffer of {} x {} pixels", width,
                   height);
    is_ready = true;
  }
};

Camera::Camera(int width, int height) : renderer_(std::make_unique<Renderer>(width, height)) {}
Camera::~Camera() = default;

vlalign::Image Camera::render(const Simulation& simulation) {
  auto& renderer = *renderer_;
  const auto& world = simulation.world();
  renderer.prepare(*world.model);
  mjvOption options;
  mjv_defaultOption(&options);
  mjvCamera camera;
  mjv_defaultCamera(&camera);
  camera.type = mjCAMERA_FIXED;
  camera.fixedcamid = 0;
  mjv_updateScene(world.model.get(), world.data.get(), &options, nullptr, &camera, mjCAT_ALL, &renderer.scene);
  const mjrRect whole{0, 0, renderer.width, renderer.height};
  mjr_render(whole, &renderer.scene, &renderer.drawing);
  vlalign::Image image{renderer.width, renderer.height, {}};
  const auto row = static_cast<std::size_t>(3 * renderer.width);
  image.rgb.resize(row * renderer.height);
  mjr_readPixels(image.rgb.data(), nullptr, whole, &renderer.drawing);
  for (int top = 0, bottom = renderer.height - 1; top < bottom; ++top, --bottom) {
    std::swap_ranges(image.rgb.begin() + top * row, image.rgb.begin() + (top + 1) * row,
                     image.rgb.begin() + bottom * row);
  }
  return image;
}

}  // namespace tabletop
