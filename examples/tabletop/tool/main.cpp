#include <fmt/format.h>

#include "tabletop/tool/commands.hpp"

int main(int argc, char** argv) {
  CLI::App program{"A table, a gripper and instructions, in MuJoCo.", "tabletop"};
  program.require_subcommand(1);
  using namespace tabletop::tool;
  for (const auto add : {add_collect, add_show, add_train, add_evaluate, add_point, add_report}) add(program);
  try {
    program.parse(argc, argv);
    return 0;
  } catch (const CLI::ParseError& error) {
    return program.exit(error) == 0 ? 0 : 2;
  } catch (const std::exception& error) {
    fmt::print(stderr, "tabletop: {}\n", error.what());
  }
  return 1;
}
