// How --help looks.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <utility>
#include <vector>

namespace vlalign::tool {

/// Whether an option takes no value.
bool is_flag(const CLI::Option& option);

/// Options under their groups, in lines of at most 80 columns.
class Help : public CLI::Formatter {
 public:
  ///   first_page: the options, with their dashes, that --help lists of a command with many, whose
  ///   --help-all lists all; empty: --help does
  explicit Help(std::vector<std::string> first_page = {}) : first_page_(std::move(first_page)) {}

  std::string make_help(const CLI::App* app, std::string name, CLI::AppFormatMode mode) const override;
  std::string make_option(const CLI::Option* option, bool is_positional) const override;
  std::string make_subcommand(const CLI::App* command) const override;

 private:
  std::string all_groups(const CLI::App& app) const;
  std::string first_options(const CLI::App& app) const;

  std::vector<std::string> first_page_;
};

}  // namespace vlalign::tool
