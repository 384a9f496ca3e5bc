#include "remote/aws_profile.hpp"

#include <filesystem>
#include <fstream>
#include <optional>
#include <string_view>

#include "core/ascii.hpp"
#include "core/check.hpp"
#include "core/io/input_file.hpp"
#include "remote/environment.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;

using Settings = std::map<std::string, std::string>;

fs::path file_of(const char* name, const char* usual) {
  const auto named = environment(name), home = environment("HOME");
  if (!named.empty()) return named;
  return home.empty() ? fs::path() : fs::path(home) / ".aws" / usual;
}

/// "[profile trainer]" in one file is "[trainer]" in the other.
std::string section_name(std::string_view line) {
  auto name = trim(line.substr(1, line.find(']') - 1));
  if (name.starts_with("profile ")) name = trim(name.substr(8));
  return std::string(name);
}

/// Adds the section's settings; false when the file has no such section. Lines that are indented belong to a setting
/// of several, which none of ours is.
bool take_section(const fs::path& file, const std::string& section, Settings& settings) {
  std::error_code unknown;
  if (file.empty() || !fs::is_regular_file(file, unknown)) return false;
  auto text = open_text(file);
  std::string line;
  bool found = false, inside = false;
  while (next_line(text, line)) {
    if (line.empty() || line[0] == ' ' || line[0] == '\t' || line[0] == '#' || line[0] == ';') continue;
    if (line[0] == '[') {
      inside = section_name(line) == section;
      found = found || inside;
      continue;
    }
    const auto equals = line.find('=');
    if (!inside || equals == line.npos) continue;
    const std::string_view all = line;
    settings[lower(trim(all.substr(0, equals)))] = trim(all.substr(equals + 1));
  }
  return found;
}

}  // namespace

Settings aws_profile() {
  const auto named = environment("AWS_PROFILE");
  const auto section = named.empty() ? "default" : named;
  const auto config = file_of("AWS_CONFIG_FILE", "config");
  const auto credentials = file_of("AWS_SHARED_CREDENTIALS_FILE", "credentials");
  Settings settings;
  const bool in_config = take_section(config, section, settings);
  const bool in_credentials = take_section(credentials, section, settings);
  check(named.empty() || in_config || in_credentials, "AWS_PROFILE={}: neither {} nor {} has such a section", named,
        config.string(), credentials.string());
  return settings;
}

}  // namespace vlalign
