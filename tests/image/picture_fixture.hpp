// Reads the files in fixtures/images and fixtures/odd_images, and compares pictures.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "vlalign/core/error.hpp"
#include "vlalign/image/image.hpp"

namespace vlalign::test {

inline std::vector<std::byte> bytes_of(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in) << path;
  const std::string text((std::istreambuf_iterator<char>(in)), {});
  const auto* data = reinterpret_cast<const std::byte*>(text.data());
  return {data, data + text.size()};
}

inline Image read_ppm(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::string magic;
  Image image;
  int highest = 0;
  in >> magic >> image.width >> image.height >> highest;
  in.get();
  image.rgb.assign(std::istreambuf_iterator<char>(in), {});
  EXPECT_EQ(image.rgb.size(), 3U * static_cast<unsigned>(image.width * image.height)) << path;
  return image;
}

/// Of a channel; 256 where the sizes differ.
inline int largest_difference(const Image& a, const Image& b) {
  if (a.width != b.width || a.height != b.height || a.rgb.size() != b.rgb.size()) return 256;
  int largest = 0;
  for (std::size_t i = 0; i < a.rgb.size(); ++i) largest = std::max(largest, std::abs(a.rgb[i] - b.rgb[i]));
  return largest;
}

/// The picture files in a folder, sorted.
inline std::vector<std::filesystem::path> pictures_in(const std::filesystem::path& folder,
                                                      const std::string& extension = {}) {
  std::vector<std::filesystem::path> found;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const auto own = entry.path().extension();
    if (extension.empty() ? is_image_file(entry.path()) : own == extension) found.push_back(entry.path());
  }
  std::sort(found.begin(), found.end());
  EXPECT_FALSE(found.empty()) << folder << extension;
  return found;
}

}  // namespace vlalign::test
