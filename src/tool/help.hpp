// How --help looks.
#pragma once

#include <CLI/CLI.hpp>
#include <set>
#include <string>

namespace vlalign::tool {

/// Options under their groups, in lines of at most 80 columns.
class Help : public CLI::Formatter {
 public:
  ///   first_page: long names, with their dashes, of the options that --help lists of a command with many, whose
  ///   --help-all lists all; empty: --help does
  explicit Help(std::set<std::string> first_page = {}) : first_page_(std::move(first_page)) {}

  std::string make_help(const CLI::App* app, std::string name, CLI::AppFormatMode mode) const override;
  std::string make_option(const CLI::Option* option, bool is_positional) const override;
  std::string make_subcommand(const CLI::App* command) const override;

 private:
  std::string groups_of(const CLI::App& app, bool first_page) const;

  std::set<std::string> first_page_;
};

}  // namespace vlalign::tool
