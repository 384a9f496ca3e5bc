// The program's subcommands.
#pragma once

#include <CLI/CLI.hpp>

namespace tabletop::tool {

void add_collect(CLI::App& program);
void add_show(CLI::App& program);
void add_train(CLI::App& program);
void add_evaluate(CLI::App& program);
void add_report(CLI::App& program);
void add_point(CLI::App& program);

}  // namespace tabletop::tool
