// The subcommands of the program tabletop: one file each.
#pragma once

#include <CLI/CLI.hpp>

namespace tabletop {

void add_collect(CLI::App& program);
void add_train(CLI::App& program);
void add_evaluate(CLI::App& program);
void add_report(CLI::App& program);
void add_ground(CLI::App& program);

}  // namespace tabletop
