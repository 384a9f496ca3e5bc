#include "checkpoints.hpp"

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <exception>
#include <fstream>
#include <stdexcept>
#include <utility>

namespace fs = std::filesystem;

Checkpoints::Checkpoints(fs::path run, fs::path running, Load load)
    : run_(std::move(run)),
      load_(std::move(load)),
      seen_(std::move(running)),
      thread_([this](auto stop) { watch(stop); }) {}

fs::path Checkpoints::newest(const fs::path& run) {
  const auto file = run / "checkpoints" / "latest";
  std::string name;
  if (!std::getline(std::ifstream(file) >> std::ws, name))
    throw std::runtime_error("no checkpoint in " + file.string());
  return run / "checkpoints" / name;
}

std::optional<vlalign::vla::LivePolicy> Checkpoints::take() {
  const std::lock_guard lock(mutex_);
  return std::exchange(ready_, std::nullopt);
}

void Checkpoints::watch(std::stop_token stop) {
  std::mutex unused;
  std::condition_variable_any asleep;
  while (!stop.stop_requested()) {
    try {
      if (const auto checkpoint = newest(run_); checkpoint != seen_) {
        seen_ = checkpoint;
        auto policy = load_(checkpoint);
        std::fprintf(stderr, "%s: loaded\n", checkpoint.c_str());
        const std::lock_guard lock(mutex_);
        ready_ = std::move(policy);
      }
    } catch (const std::exception& error) {
      std::fprintf(stderr, "%s; the policy stays as it is\n", error.what());
    }
    std::unique_lock lock(unused);
    asleep.wait_for(lock, stop, std::chrono::milliseconds(500), [] { return false; });
  }
}
