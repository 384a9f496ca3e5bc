#include <malloc.h>

#include "commands.hpp"
#include "output.hpp"

namespace {

constexpr int wrong_usage = 2;

/// Buffers of one step are those of the next: giving their pages back to the system and faulting them in again took 8%
/// of the quick start's time.
void keep_freed_memory() {
  constexpr int gigabyte = 1 << 30;
  mallopt(M_MMAP_THRESHOLD, gigabyte);
  mallopt(M_TRIM_THRESHOLD, gigabyte);
}

int run(int argc, char** argv) {
  CLI::App program{"Vision-language alignment: trains, evaluates and uses CLIP-like models.", "vlalign"};
  program.require_subcommand(1);
  program.set_version_flag("--version", VLALIGN_VERSION);
  using namespace vlalign::tool;
  for (const auto add : {add_train, add_eval, add_zero_shot, add_linear_probe, add_embed, add_search, add_inspect,
                         add_convert, add_interpolate, add_bench})
    add(program);
  try {
    program.parse(argc, argv);
    return 0;
  } catch (const CLI::ParseError& error) {
    return program.exit(error) == 0 ? 0 : wrong_usage;
  }
}

}  // namespace

int main(int argc, char** argv) {
  vlalign::tool::prepare_streams();
  keep_freed_memory();
  return vlalign::tool::exit_status_of([&] { return run(argc, argv); });
}
