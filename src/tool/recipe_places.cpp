#include "tool/recipe_places.hpp"

#include <algorithm>
#include <filesystem>
#include <set>

#include "core/io/files.hpp"
#include "data/sources/brace_expand.hpp"
#include "data/sources/shard_files.hpp"
#include "tool/held_out.hpp"
#include "vlalign/eval/templates.hpp"

namespace vlalign::tool {
namespace {

namespace fs = std::filesystem;

std::string absolute_path(std::string path) {
  while (path.starts_with("./")) path.erase(0, 2);
  return path.empty() ? path : fs::absolute(path).string();
}

/// Begins with no folder of this machine's, such as a brace that holds whole addresses.
bool stays(const std::string& part) {
  if (part.empty() || is_pipe(part)) return true;
  const auto names = brace_expand(part);
  return std::any_of(names.begin(), names.end(), [](const std::string& name) {
    return name.find("://") != name.npos || fs::path(name).is_absolute();
  });
}

bool is_there_as_it_stands(const std::string& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

}  // namespace

std::string absolute_location(const std::string& location) {
  constexpr std::string_view between = "::";
  if (is_there_as_it_stands(location)) return absolute_path(location);
  std::string all;
  for (std::size_t begin = 0;;) {
    const auto end = location.find(between, begin);
    const auto part = location.substr(begin, end == location.npos ? end : end - begin);
    all += stays(part) ? part : absolute_path(part);
    if (end == location.npos) return all;
    all += between;
    begin = end + between.size();
  }
}

std::string absolute_place(const std::string& option, const std::string& text) {
  static const std::set<std::string> paths{"classes", "teacher", "init", "image-tower", "text-tower", "cache"};
  if (option == "data") return absolute_location(text);
  if (option == "val" || option == "zero-shot") {
    const auto set = split_name("--" + option, text);
    return (set.name.empty() ? "" : set.name + "=") + absolute_location(set.location);
  }
  const auto lists = template_lists();
  const bool file = paths.contains(option) || (option == "model" && text.ends_with(".json")) ||
                    (option == "tokenizer" && !text.starts_with("train:")) ||
                    (option == "templates" && std::find(lists.begin(), lists.end(), text) == lists.end());
  return file ? absolute_path(text) : text;
}

}  // namespace vlalign::tool
