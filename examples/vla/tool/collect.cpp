#include "commands.hpp"

namespace tabletop::tool {

void add_collect(CLI::App& program) { program.add_subcommand("collect", "Collects."); }

}  // namespace tabletop::tool
