#include "tool/bench.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <string>
#include <string_view>

#include "tool/commands.hpp"

namespace vlalign::tool {

double quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  const auto place = q * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(place), above = std::min(below + 1, values.size() - 1);
  return std::lerp(values[below], values[above], place - static_cast<double>(below));
}

double start_of_peak_memory_mb() {
  std::ofstream("/proc/self/clear_refs") << "5";  // proc(5): the peak is what is resident now
  return peak_memory_mb();
}

/// getrusage(2)'s figure is at least that of the program that started this one.
double peak_memory_mb() {
  constexpr std::string_view key = "VmHWM:";  // proc(5), in kB
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(key)) return std::stod(line.substr(key.size())) / 1024.0;
  return 0;
}

std::vector<std::string> read_captions(const std::string& file) {
  if (file.empty())
    return {"a photo of a small brown dog running on the beach near the water", "pick up the red cup on the table",
            "two people riding bicycles down a city street at night", "a red apple"};
  return read_lines(file);
}

void add_bench(CLI::App& program) {
  auto* bench = program.add_subcommand("bench", "How fast this machine is at a part of the work");
  bench->require_subcommand(1);
  for (const auto add : {add_bench_step, add_bench_loss, add_bench_images, add_bench_tokens, add_bench_latency,
                         add_bench_callers, add_bench_loader, add_bench_search})
    add(*bench);
}

}  // namespace vlalign::tool
