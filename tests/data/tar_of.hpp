// Tar files that tests write themselves.
#pragma once

#include <algorithm>
#include <array>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vlalign::test {

/// A ustar file, by the layout in POSIX's pax: 512-byte headers, content padded to 512, two empty blocks.
inline std::string tar_of(const std::vector<std::pair<std::string, std::string>>& members) {
  std::string tar;
  for (const auto& [name, content] : members) {
    std::array<char, 512> header{};
    name.copy(header.data(), 100);
    std::snprintf(&header[100], 8, "%07o", 0644U);
    std::snprintf(&header[124], 12, "%011o", static_cast<unsigned>(content.size()));
    std::snprintf(&header[136], 12, "%011o", 0U);
    std::fill(&header[148], &header[156], ' ');
    header[156] = '0';
    std::string_view("ustar\00000", 8).copy(&header[257], 8);
    unsigned sum = 0;
    for (const char c : header) sum += static_cast<unsigned char>(c);
    std::snprintf(&header[148], 8, "%06o", sum);
    tar.append(header.data(), header.size());
    tar += content;
    tar.append((512 - content.size() % 512) % 512, '\0');
  }
  return tar.append(1024, '\0');
}

}  // namespace vlalign::test
