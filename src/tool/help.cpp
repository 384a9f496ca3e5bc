#include "tool/help.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>
#include <vector>

namespace vlalign::tool {
namespace {

constexpr std::size_t line_width = 80, text_column = 26;

/// Words in lines, the first of which begins at a column that is reached already.
std::string wrapped(const std::string& text, std::size_t at, std::size_t column) {
  std::istringstream words(text);
  std::string lines, word;
  bool begins = true;
  while (words >> word) {
    if (!begins && at + 1 + word.size() > line_width) {
      lines += "\n" + std::string(column, ' ');
      at = column;
      begins = true;
    }
    lines += (begins ? "" : " ") + word;
    at += word.size() + (begins ? 0 : 1);
    begins = false;
  }
  return lines + "\n";
}

std::string entry(const std::string& name, const std::string& text) {
  auto line = "  " + name;
  if (line.size() + 1 > text_column)
    return line + "\n" + std::string(text_column, ' ') + wrapped(text, text_column, text_column);
  line.resize(text_column, ' ');
  return line + wrapped(text, text_column, text_column);
}

/// What stands for an option's value: N, X, TEXT, or the choices.
std::string value_of(const CLI::Option& option) {
  auto type = option.get_type_name();
  const auto end = type.find(':');
  const auto more = end == type.npos ? "" : type.substr(end + 1);
  type.resize(std::min(end, type.size()));
  if (type == "INT" || type == "UINT") type = "N";
  if (type == "FLOAT") type = "X";
  if (more.starts_with('{') && more.find('}') != more.npos) {
    type = more.substr(1, more.find('}') - 1);
    std::replace(type.begin(), type.end(), ',', '|');
  }
  if (option.get_items_expected_max() > 1) type += " ...";
  return option.get_expected_min() == 0 ? "[" + type + "]" : type;
}

}  // namespace

std::string Help::make_option(const CLI::Option* option, bool is_positional) const {
  const bool has_value = option->get_type_size() != 0 && !is_positional;
  auto name = option->get_name(is_positional, !is_positional);
  if (has_value) name += " " + value_of(*option);
  auto text = option->get_description();
  if (has_value && option->get_expected_min() > 0 && !option->get_default_str().empty())
    text += fmt::format(" [{}]", option->get_default_str());
  if (option->get_required()) text += " (required)";
  for (const auto* other : option->get_needs()) text += fmt::format(" (with {})", other->get_name());
  return entry(name, text);
}

std::string Help::make_subcommand(const CLI::App* command) const {
  return entry(command->get_name(), command->get_description());
}

std::string Help::groups_of(const CLI::App& app, bool first_page) const {
  const auto is_help = [&](const CLI::Option* option) {
    return option == app.get_help_ptr() || option == app.get_help_all_ptr();
  };
  std::vector<std::pair<std::string, std::string>> groups;
  const auto add = [&](const CLI::Option* option) {
    const auto group = first_page ? "Options" : option->get_group();
    auto found = std::find_if(groups.begin(), groups.end(), [&](const auto& each) { return each.first == group; });
    if (found == groups.end()) found = groups.insert(groups.end(), {group, ""});
    found->second += make_option(option, /*is_positional=*/false);
  };
  const auto options = app.get_options([&](const CLI::Option* option) {
    const bool listed = !first_page || first_page_.contains(option->get_name(false, true));
    return listed && option->nonpositional() && !option->get_group().empty();
  });
  for (const auto* option : options)
    if (!is_help(option)) add(option);
  for (const auto* option : options)
    if (is_help(option)) add(option);
  std::string text;
  for (const auto& [name, entries] : groups) text += fmt::format("\n{}:\n{}", name, entries);
  return text;
}

std::string Help::make_help(const CLI::App* app, std::string name, CLI::AppFormatMode mode) const {
  const bool first_page = !first_page_.empty() && mode == CLI::AppFormatMode::Normal;
  auto text = wrapped(app->get_description(), 0, 0) + make_usage(app, name) + make_positionals(app);
  text += groups_of(*app, first_page) + make_subcommands(app, mode);
  if (first_page) text += "\n" + wrapped(fmt::format("{} --help-all lists all options.", name), 0, 0);
  return text;
}

}  // namespace vlalign::tool
