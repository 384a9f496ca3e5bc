#include "tool/run_on_ranks.hpp"

#include <cstdio>
#include <cstdlib>

#include "core/check.hpp"
#include "tool/output.hpp"

namespace vlalign::tool {
namespace {

void check_same_task(const Ranks& ranks, const std::string& task) {
  const auto tasks = ranks.gather(task);
  for (int rank = 1; rank < ranks.size(); ++rank) {
    const auto& other = tasks[static_cast<std::size_t>(rank)];
    check(other == tasks[0], "the ranks differ in what they are to do: {} on {}, {} on {}", tasks[0], ranks.name(0),
          other, ranks.name(rank));
  }
}

}  // namespace

void run_on_ranks(const std::string& task, const std::function<void(const Ranks&)>& work) {
  const auto ranks = Ranks::from_environment();
  if (ranks.alone()) return work(ranks);
  const auto status = exit_status_of([&] {
    try {
      check_same_task(ranks, task);
      work(ranks);
      ranks.barrier();
    } catch (const std::exception& error) {
      ranks.fail(error.what());
      throw;
    }
    return 0;
  });
  if (status == 0) return;
  std::fflush(nullptr);
  std::_Exit(status);
}

}  // namespace vlalign::tool
