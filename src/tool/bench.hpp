// What `vlalign bench` measures; each function adds one of its subcommands.
#pragma once

#include <CLI/CLI.hpp>
#include <chrono>
#include <string>
#include <vector>

namespace vlalign::tool {

void add_bench_step(CLI::App& bench);
void add_bench_loss(CLI::App& bench);
void add_bench_images(CLI::App& bench);
void add_bench_tokens(CLI::App& bench);
void add_bench_latency(CLI::App& bench);
void add_bench_callers(CLI::App& bench);
void add_bench_loader(CLI::App& bench);
void add_bench_search(CLI::App& bench);

/// Seconds that `work` takes.
template <typename Work>
double seconds_of(const Work& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// The q-th quantile of the values, 0 to 1, between the two nearest.
double quantile(std::vector<double> values, double q);

/// The largest memory this process has had so far, in MB (2^20 bytes).
double peak_memory_mb();
/// From now on the peak counts from the memory in use, in MB, which is returned.
double start_of_peak_memory_mb();

/// The lines of a file; a few sentences without one.
std::vector<std::string> read_captions(const std::string& file);

}  // namespace vlalign::tool
