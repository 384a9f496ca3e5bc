#include "data/sources/locations.hpp"

#include <glob.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string>

#include "core/check.hpp"
#include "core/io/files.hpp"
#include "core/log.hpp"
#include "data/sources/brace_expand.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;

bool is_literally_there(std::string_view name) {
  std::error_code ignored;  // a pattern may be longer than a name may be
  return fs::exists(name, ignored);
}

int tell_of_folder(const char* folder, int why) {
  if (why != ENOENT)
    log_warning("{}: cannot list the folder: {}; what is in it is left out", folder, std::strerror(why));
  return 0;  // the search goes on
}

std::vector<fs::path> fitting(const std::string& pattern) {
  glob_t found{};
  const std::unique_ptr<glob_t, void (*)(glob_t*)> freed(&found, ::globfree);
  const int failed = ::glob(pattern.c_str(), 0, tell_of_folder, &found);
  check(failed == 0 || failed == GLOB_NOMATCH, "{}: cannot look for what fits this pattern", pattern);
  check(found.gl_pathc > 0, "{}: nothing fits this pattern", pattern);
  std::vector<fs::path> files(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  std::sort(files.begin(), files.end());
  return files;
}

void add_named(std::vector<fs::path>& files, const std::string& name) {
  if (!is_literally_there(name) && name.find_first_of("*?[") != name.npos) {
    for (auto& file : fitting(name)) files.push_back(std::move(file));
    return;
  }
  if (!is_there(name)) fail("{}: no such file or folder", name);
  files.emplace_back(name);
}

void add_part(std::vector<fs::path>& files, std::string_view part, std::string_view location) {
  check(!part.empty(), "{}: expected a location on either side of \"::\"", location);
  const auto names = is_literally_there(part) ? std::vector{std::string(part)} : brace_expand(part);
  for (const auto& name : names) add_named(files, name);
}

}  // namespace

std::vector<fs::path> expand_location(std::string_view location) {
  constexpr std::string_view between = "::";
  std::vector<fs::path> files;
  if (is_literally_there(location)) return {fs::path(location)};
  for (auto rest = location;;) {
    const auto end = rest.find(between);
    add_part(files, rest.substr(0, end), location);
    if (end == rest.npos) return files;
    rest.remove_prefix(end + between.size());
  }
}

}  // namespace vlalign
