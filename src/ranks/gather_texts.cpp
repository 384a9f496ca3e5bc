#include "ranks/gather_texts.hpp"

#include <string_view>

namespace vlalign {

std::vector<std::string> gather_texts(const Ranks& ranks, const std::vector<std::string>& own) {
  std::string ended;  // each with a NUL behind it
  for (const auto& text : own) ended.append(text).push_back('\0');
  std::vector<std::string> all;
  for (const auto& of_rank : ranks.gather(std::string_view(ended))) {
    for (std::string_view rest = of_rank; !rest.empty(); rest.remove_prefix(all.back().size() + 1))
      all.emplace_back(rest.substr(0, rest.find('\0')));
  }
  return all;
}

}  // namespace vlalign
