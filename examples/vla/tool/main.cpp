// A language-conditioned tabletop from alignment to action: collects frames and demonstrations in MuJoCo, trains
// policies on an aligned encoder, and measures how often they succeed. examples/vla/run.sh does all of it.
#include <spdlog/spdlog.h>

#include "commands.hpp"

int main(int argc, char** argv) {
  CLI::App program{"A tabletop in MuJoCo: instructions in, actions out.", "tabletop"};
  program.require_subcommand(1);
  for (const auto add : {tabletop::add_collect, tabletop::add_train, tabletop::add_evaluate, tabletop::add_report, tabletop::add_ground})
    add(program);
  try {
    program.parse(argc, argv);
    return 0;
  } catch (const CLI::ParseError& error) {
    return program.exit(error) == 0 ? 0 : 2;
  } catch (const std::exception& error) {
    spdlog::error("{}", error.what());
    return 1;
  }
}
