#include "ranks/watch.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace vlalign {
namespace {

constexpr auto failure_key = "failed";
constexpr std::string_view through = "through";
constexpr std::chrono::milliseconds soon{500};  ///< in which ranks look for what another tells

std::string beat_key(int rank) { return fmt::format("beat/{}", rank); }

std::vector<std::uint8_t> bytes_of(std::string_view text) { return {text.begin(), text.end()}; }

}  // namespace

Watch::Watch(c10::intrusive_ptr<c10d::Store> store, int rank, std::vector<std::string> names,
             std::chrono::milliseconds patience)
    : store_(std::move(store)),
      rank_(rank),
      names_(std::move(names)),
      patience_(patience),
      answered_(Clock::now()),
      counts_(names_.size()),
      changed_(names_.size(), Clock::now()) {
  for (std::size_t r = 0; r < names_.size(); ++r) keys_.push_back(beat_key(static_cast<int>(r)));
  thread_ = std::thread([this] { run(); });
}

Watch::~Watch() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
  try {
    store_->set(beat_key(rank_), bytes_of(through));
  } catch (const std::exception&) {  // nobody is left to read it
  }
}

void Watch::begin(c10d::Store& store, int rank) { store.set(beat_key(rank), bytes_of("0")); }

std::optional<std::string> Watch::fault() const {
  {
    const std::lock_guard lock(mutex_);
    if (fault_) return fault_;
  }
  if (Clock::now() - answered_.load() < patience_) return {};
  return fmt::format("{} hasn't answered for {} s: it was stopped, or is cut off", names_.front(),
                     std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - answered_.load()).count());
}

void Watch::tell(std::string_view fault) noexcept {
  try {
    {
      const std::lock_guard lock(store_mutex_);
      store_->set(failure_key, bytes_of(fault));
    }
    if (rank_ == 0) std::this_thread::sleep_for(3 * soon);
  } catch (const std::exception&) {  // the others will miss its beat
  }
}

bool Watch::is_asked_to_stop(std::chrono::milliseconds wait) {
  std::unique_lock lock(mutex_);
  return wake_.wait_for(lock, wait, [this] { return stopping_; });
}

void Watch::note_fault(std::string fault) {
  const std::lock_guard lock(mutex_);
  if (!fault_) fault_ = std::move(fault);
}

std::chrono::milliseconds Watch::period() const {
  constexpr std::chrono::milliseconds shortest{100}, longest{2000};
  return std::clamp(patience_ / 10, shortest, longest);
}

void Watch::run() {
  auto next = Clock::now();
  while (!is_asked_to_stop(std::min(soon, period()))) {
    try {
      if (Clock::now() >= next) {
        look();
        next = Clock::now() + period();
      }
      listen();
      answered_ = Clock::now();
    } catch (const std::exception&) {
      if (!is_asked_to_stop(std::chrono::milliseconds(0)))
        note_fault(fmt::format("{} is gone: its process ended, or the way to it is cut", names_.front()));
      return;
    }
    if (fault()) return;
  }
}

void Watch::look() {
  const std::lock_guard lock(store_mutex_);
  store_->add(beat_key(rank_), 1);
  const auto counts = store_->multiGet(keys_);
  const auto now = Clock::now();
  for (std::size_t r = 0; r < counts.size(); ++r) {
    std::string count(counts[r].begin(), counts[r].end());
    if (count != counts_[r] || count == through) changed_[r] = now;
    counts_[r] = std::move(count);
    if (now - changed_[r] > patience_)
      note_fault(fmt::format("{} has given no sign of life for {} s: it was killed or stopped, or is cut off",
                             names_[r], std::chrono::duration_cast<std::chrono::seconds>(now - changed_[r]).count()));
  }
}

/// To what another rank tells.
void Watch::listen() {
  const std::lock_guard lock(store_mutex_);
  if (store_->check({failure_key})) {
    const auto why = store_->get(failure_key);
    note_fault({why.begin(), why.end()});
  }
}

}  // namespace vlalign
