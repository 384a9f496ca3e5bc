#pragma once

#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vlalign/vla/live_policy.hpp>

/// Watches a training run for a newer checkpoint and loads it, all in a thread of its own. What can't be loaded is said
/// on stderr and passed over; the next checkpoint gets its chance.
class Checkpoints {
 public:
  /// Makes a policy of a checkpoint's folder, ready to act; throws for one that can't be used.
  using Load = std::function<vlalign::vla::LivePolicy(const std::filesystem::path&)>;
  /// running: the checkpoint that acts already
  Checkpoints(std::filesystem::path run, std::filesystem::path running, Load load);

  /// The run's newest checkpoint, as the run says.
  static std::filesystem::path newest(const std::filesystem::path& run);

  /// A policy that has become ready since the last call. Never waits for one that is being loaded.
  std::optional<vlalign::vla::LivePolicy> take();

 private:
  void watch(std::stop_token stop);

  std::filesystem::path run_;
  Load load_;
  std::filesystem::path seen_;  // the checkpoint that is running, was loaded or couldn't be
  std::mutex mutex_;            // of the policy that is ready
  std::optional<vlalign::vla::LivePolicy> ready_;
  std::jthread thread_;
};
