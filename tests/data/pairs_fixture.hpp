// What the tests of tables and of shards share.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "support/captured_log.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/data/sources/pairs.hpp"

namespace vlalign::test {

namespace fs = std::filesystem;
using nlohmann::json;
using Captions = std::vector<std::string>;

inline const fs::path fixtures = fs::path(VLALIGN_FIXTURES) / "pairs";

inline json read_json(const fs::path& path) { return json::parse(std::ifstream(path)); }

inline std::string read_text(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

inline std::string text_of(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

inline std::string hex_of(const std::vector<std::byte>& bytes) {
  std::string hex;
  for (const auto byte : bytes) hex += fmt::format("{:02x}", static_cast<unsigned>(byte));
  return hex;
}

/// A folder that is gone after the test, and what was logged meanwhile.
class Pairs : public testing::Test {
 protected:
  void SetUp() override {
    std::string path = (fs::temp_directory_path() / "vlalign-pairs-XXXXXX").string();
    ASSERT_NE(::mkdtemp(path.data()), nullptr);
    folder_ = path;
    cache_ = path + ".cache";
    ::setenv("XDG_CACHE_HOME", cache_.c_str(), 1);
  }
  void TearDown() override {
    fs::remove_all(folder_);
    fs::remove_all(cache_);
  }

  std::string write(const std::string& name, std::string_view contents) const {
    std::ofstream(folder_ / name, std::ios::binary) << contents;
    return (folder_ / name).string();
  }

  /// Writes the file, opens it and gives what it throws.
  std::string error_of(const std::string& name, std::string_view contents, const PairOptions& options = {}) const {
    return error_at(write(name, contents), options);
  }
  static std::string error_at(const std::string& location, const PairOptions& options = {}) {
    try {
      open_pairs(location, options);
    } catch (const Error& error) {
      return error.what();
    }
    return "nothing was thrown";
  }

  /// Writes the file, opens it and gives its bad records, a line each, without the folder's name.
  std::string bad_of(const std::string& name, std::string_view contents, const PairOptions& options = {}) const {
    std::string all;
    for (const auto& bad : open_pairs(write(name, contents), options)->bad_records()) {
      EXPECT_TRUE(bad.starts_with(folder_.string() + "/")) << bad;
      all += bad.substr(folder_.string().size() + 1) + "\n";
    }
    return all;
  }

  fs::path folder_, cache_;  ///< the second for what the library keeps, made by it
  CapturedLog log_;
};

#define EXPECT_HAS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

}  // namespace vlalign::test
