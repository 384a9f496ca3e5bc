#include "data/sources/locations.hpp"

#include <fnmatch.h>
#include <glob.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>

#include "core/check.hpp"
#include "core/io/files.hpp"
#include "core/log.hpp"
#include "data/sources/brace_expand.hpp"
#include "data/sources/shard_files.hpp"
#include "remote/bucket.hpp"
#include "remote/remote_file.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;

constexpr double largest_weight = 1000;
constexpr const char* glob_signs = "*?[";

bool is_literally_there(std::string_view name) {
  std::error_code ignored;  // a pattern may be longer than a name may be
  return fs::exists(name, ignored);
}

int tell_of_folder(const char* folder, int why) {
  if (why != ENOENT)
    log_warning("{}: cannot list the folder: {}; what is in it is left out", folder, std::strerror(why));
  return 0;  // the search goes on
}

std::vector<std::string> fitting_files(const std::string& pattern) {
  glob_t found{};
  const std::unique_ptr<glob_t, void (*)(glob_t*)> freed(&found, ::globfree);
  const int failed = ::glob(pattern.c_str(), 0, tell_of_folder, &found);
  check(failed == 0 || failed == GLOB_NOMATCH, "{}: cannot look for what fits this pattern", pattern);
  check(found.gl_pathc > 0, "{}: nothing fits this pattern", pattern);
  std::vector<std::string> files(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  std::sort(files.begin(), files.end());
  return files;
}

/// Of what is in the bucket under the pattern's begin. A * stays within a folder, as with files.
std::vector<std::string> fitting_objects(const std::string& pattern) {
  auto objects = list_remote(pattern.substr(0, pattern.find_first_of(glob_signs)));
  std::erase_if(objects, [&](const auto& name) { return ::fnmatch(pattern.c_str(), name.c_str(), FNM_PATHNAME) != 0; });
  check(!objects.empty(), "{}: nothing fits this pattern", pattern);
  std::sort(objects.begin(), objects.end());
  return objects;
}

void add_named(std::vector<std::string>& places, const std::string& name) {
  const bool remote = is_remote(name), pattern = name.find_first_of(glob_signs) != name.npos;
  const bool bucket = name.starts_with("s3://");
  check(!remote || bucket || name.find_first_of("*[") == name.npos,
        "{}: patterns find files and s3://; behind http number the shards, as {{000..031}}", name);
  check(remote || name.find("://") == name.npos || is_literally_there(name),
        "{}: expected http://, https:// or s3://, in small letters, or a file", name);
  if (remote && !(bucket && pattern)) {
    places.push_back(name);
  } else if (pattern && (bucket || !is_literally_there(name))) {
    for (auto& file : bucket ? fitting_objects(name) : fitting_files(name)) places.push_back(std::move(file));
  } else {
    if (!is_there(name)) fail("{}: no such file or folder", name);
    places.push_back(name);
  }
}

/// The weight that a part ends with, which is cut off; 1 for one without.
double take_weight(std::string_view& part) {
  const auto sign = part.rfind('@');
  if (sign == part.npos || sign == 0 || part.find('/', sign) != part.npos || is_literally_there(part)) return 1.0;
  const auto number = part.substr(sign + 1);
  double weight = 0;
  const auto [end, error] = std::from_chars(number.begin(), number.end(), weight);
  if (number.empty() || error != std::errc() || end != number.end()) return 1.0;  // a name with an @
  check(std::isfinite(weight) && weight > 0 && weight <= largest_weight,
        "{}: expected a weight above 0 and up to {} behind the @", part, largest_weight);
  part = part.substr(0, sign);
  return weight;
}

NamedPart named_part(std::string_view part, std::string_view location) {
  NamedPart named;
  named.weight = take_weight(part);
  check(!part.empty(), "{}: expected a location on either side of \"::\"", location);
  const bool as_it_is = is_literally_there(part);
  for (const auto& name : as_it_is ? std::vector{std::string(part)} : brace_expand(part)) {
    if (is_pipe(name)) {
      named.places.push_back(name);
    } else {
      add_named(named.places, name);
    }
  }
  return named;
}

}  // namespace

std::vector<NamedPart> expand_location(std::string_view location) {
  constexpr std::string_view between = "::";
  if (is_literally_there(location)) return {{.places = {std::string(location)}}};
  std::vector<NamedPart> parts;
  for (auto rest = location;;) {
    const auto end = rest.find(between);
    parts.push_back(named_part(rest.substr(0, end), location));
    if (end == rest.npos) return parts;
    rest.remove_prefix(end + between.size());
  }
}

}  // namespace vlalign
