// What the tests of files on other machines share.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <random>
#include <span>
#include <string>
#include <string_view>

#include "remote/remote_options.hpp"
#include "support/captured_log.hpp"
#include "support/file_server.hpp"
#include "vlalign/core/error.hpp"

namespace vlalign::test {

#define EXPECT_HAS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

inline std::string random_bytes(std::size_t size, unsigned seed = 1) {
  std::mt19937 random(seed);
  std::string bytes(size, '\0');
  for (auto& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

inline std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

template <typename Function>
std::string error_of(const Function& function) {
  try {
    function();
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was thrown";
}

/// Short waits between attempts, no proxy, and what the process sends from here on.
class Remote : public testing::Test {
 protected:
  void SetUp() override {
    ::setenv("no_proxy", "*", 1);
    set_remote_options({.timeout_s = 10, .attempts = 6, .first_wait_s = 0.01});
    before_ = transfer_counts();
    began_ = std::chrono::steady_clock::now();
  }
  void TearDown() override { EXPECT_LT(seconds(), 120); }

  std::int64_t requests() const { return transfer_counts().requests - before_.requests; }
  std::int64_t retries() const { return transfer_counts().retries - before_.retries; }
  std::int64_t bytes() const { return transfer_counts().bytes - before_.bytes; }
  double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count(); }

  TransferCounts before_;
  std::chrono::steady_clock::time_point began_;
  CapturedLog log_;
};

}  // namespace vlalign::test
