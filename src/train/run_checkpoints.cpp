#include "train/run_checkpoints.hpp"

#include "core/check.hpp"
#include "core/log.hpp"
#include "train/over_ranks.hpp"

namespace vlalign {

RunCheckpoints::RunCheckpoints(const Ranks& ranks, const CheckpointOptions& options, RunFolder* folder,
                               std::int64_t step)
    : ranks_(ranks), options_(options), folder_(folder), saved_(step) {}

bool RunCheckpoints::is_time() const {
  return options_.every_minutes > 0 &&
         std::chrono::duration<double>(Clock::now() - last_).count() >= 60 * options_.every_minutes;
}

void RunCheckpoints::save(std::int64_t step, bool must, const std::function<void()>& write) {
  auto fault = attempt(write);
  bool failed = any_of_ranks(ranks_, !fault.empty());
  if (failed && any_of_ranks(ranks_, folder_ && make_room(step, fault))) {
    fault = attempt(write);
    failed = any_of_ranks(ranks_, !fault.empty());
  }
  last_ = Clock::now();
  if (!failed) {
    saved_ = step;
    if (folder_) folder_->checkpoints().prune();
    return;
  }
  if (!folder_) return;  // rank 0 tells
  const auto told = fmt::format("the checkpoint of step {} could not be written: {}; the last whole one is {}", step,
                                fault, folder_->checkpoints().newest_name());
  check(!must && !options_.stop_on_full_disk, "{}: make room and resume", told);
  failed_ = step, fault_ = told;
  log_warning("{}. The run goes on, and tries again when the next one is due", told);
}

void RunCheckpoints::check_saved(std::int64_t step) const {
  check(failed_ == 0 || failed_ != step || saved_ == step,
        "{}; the run is over and its model is there, but it can't be made longer from its end", fault_);
}

/// Why it failed; empty where it went well.
std::string RunCheckpoints::attempt(const std::function<void()>& write) const {
  try {
    write();
    return {};
  } catch (const Error& error) {
    if (!folder_) throw;
    return error.what();
  }
}

bool RunCheckpoints::make_room(std::int64_t step, const std::string& fault) {
  const auto gone = folder_->checkpoints().make_room();
  if (gone > 0)
    log_warning("the checkpoint of step {} could not be written: {}; {} older one(s) made room for it", step, fault,
                gone);
  return gone > 0;
}

}  // namespace vlalign
