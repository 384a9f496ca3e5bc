#include "data/lerobot_module.hpp"

#include <dlfcn.h>

#include "core/check.hpp"
#include "data/lerobot/lerobot_episodes.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;

fs::path module_path() {
  Dl_info library{};
  std::error_code error;
  if (::dladdr(reinterpret_cast<const void*>(&open_lerobot), &library) == 0 || library.dli_fname == nullptr) return {};
  return fs::canonical(library.dli_fname, error).parent_path() / VLALIGN_LEROBOT_MODULE;
}

/// Never unloaded: sources it made may outlive any place that could do it.
OpenLerobotEpisodes load_module(const fs::path& folder) {
  const auto path = module_path();
  check(fs::exists(path),
        "{}: LeRobot datasets need a vlalign built where Arrow (with Parquet) and FFmpeg's libavformat, libavcodec and "
        "libswscale are; run cmake/setup.sh, which installs them, and build again",
        folder.string());
  void* module = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  check(module != nullptr, "{}: cannot load what reads LeRobot datasets: {}", folder.string(), ::dlerror());
  const auto open = reinterpret_cast<OpenLerobotEpisodes>(::dlsym(module, "vlalign_open_lerobot_episodes"));
  check(open != nullptr, "{}: is not this vlalign's: {}", path.string(), ::dlerror());
  return open;
}

}  // namespace

std::shared_ptr<const EpisodeSource> open_lerobot(const fs::path& folder, const EpisodeOptions& options) {
  static const auto open = load_module(folder);
  std::shared_ptr<const EpisodeSource> source;
  open(folder, options, source);
  return source;
}

}  // namespace vlalign
