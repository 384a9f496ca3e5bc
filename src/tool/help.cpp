#include "tool/help.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

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

/// Behind the description: default, whether it must be there, and what else must.
std::string remarks_on(const CLI::Option& option) {
  std::string text;
  auto usual = option.get_default_str();
  if (usual.starts_with('[') && usual.ends_with(']')) usual = usual.substr(1, usual.size() - 2);  // a list
  if (!usual.empty() && option.get_expected_min() > 0) text += fmt::format(" [{}]", usual);
  if (option.get_required()) text += " (required)";
  std::vector<std::string> others;
  for (const auto* other : option.get_needs()) others.push_back(other->get_name());
  if (!others.empty()) text += fmt::format(" (with {})", fmt::join(others, " and "));
  return text;
}

}  // namespace

bool is_flag(const CLI::Option& option) { return option.get_type_name().empty() && option.get_expected_min() == 0; }

std::string Help::make_option(const CLI::Option* option, bool is_positional) const {
  const auto name = option->get_name(is_positional, !is_positional);
  const auto value = is_positional || is_flag(*option) ? "" : " " + value_of(*option);
  return entry(name + value, option->get_description() + remarks_on(*option));
}

std::string Help::make_subcommand(const CLI::App* command) const {
  return entry(command->get_name(), command->get_description());
}

/// Groups come in the order of their first options; help is the first that CLI11 adds, and comes last.
std::string Help::all_groups(const CLI::App& app) const {
  const auto is_help = [&](const CLI::Option* option) {
    return option == app.get_help_ptr() || option == app.get_help_all_ptr();
  };
  auto options = app.get_options([](const CLI::Option* o) { return o->nonpositional() && !o->get_group().empty(); });
  std::stable_partition(options.begin(), options.end(), [&](const auto* option) { return !is_help(option); });
  std::vector<std::pair<std::string, std::string>> groups;
  for (const auto* option : options) {
    const auto& name = option->get_group();
    auto group = std::find_if(groups.begin(), groups.end(), [&](const auto& each) { return each.first == name; });
    if (group == groups.end()) group = groups.insert(groups.end(), {name, ""});
    group->second += make_option(option, /*is_positional=*/false);
  }
  std::string text;
  for (const auto& [name, entries] : groups) text += fmt::format("\n{}:\n{}", name, entries);
  return text;
}

std::string Help::first_options(const CLI::App& app) const {
  std::string text = "\nOptions:\n";
  for (const auto& name : first_page_) text += make_option(app.get_option(name), /*is_positional=*/false);
  return text;
}

std::string Help::make_help(const CLI::App* app, std::string name, CLI::AppFormatMode mode) const {
  const bool first_page = !first_page_.empty() && mode == CLI::AppFormatMode::Normal;
  auto text = wrapped(app->get_description(), 0, 0) + make_usage(app, name) + make_positionals(app);
  text += first_page ? first_options(*app) : all_groups(*app);
  text += make_subcommands(app, mode);
  if (first_page) text += fmt::format("\n{} --help-all lists all options.\n", name);
  return text;
}

}  // namespace vlalign::tool
