#include "remote/read_ahead.hpp"

#include <algorithm>
#include <span>

#include "core/check.hpp"

namespace vlalign {
namespace {

constexpr std::size_t most_threads = 24;
constexpr std::int64_t most_kept = std::int64_t{256} << 20;  // bytes
constexpr std::size_t most_waiting = 1 << 14;                // ranges: older ones are given up

}  // namespace

ReadAhead::~ReadAhead() {
  for (auto& thread : threads_) thread.request_stop();
  changed_.notify_all();
}

void ReadAhead::want(const std::shared_ptr<const RandomAccess>& file, std::int64_t offset, std::int64_t size) {
  const std::lock_guard lock(mutex_);
  const Key key{file->name(), offset};
  const auto found = ranges_.find(key);
  if (found != ranges_.end() && found->second->state != State::failed) return;
  auto range = std::make_shared<Range>(Range{.file = file, .offset = offset, .size = size, .bytes = {}});
  ranges_[key] = range;
  kept_.emplace_back(key, range);
  waiting_.push_back(range);
  bytes_ += size;
  make_room();
  if (threads_.size() < std::min(most_threads, waiting_.size())) {
    try {
      threads_.emplace_back([this](const std::stop_token& stop) { work(stop); });
    } catch (const std::system_error&) {  // fewer will do, and none too
    }
  }
  changed_.notify_all();
}

/// Gives up the oldest ranges; who reads one keeps it.
void ReadAhead::make_room() {
  while (kept_.size() > 1 && (bytes_ > most_kept || kept_.size() > most_waiting)) {
    auto& [key, range] = kept_.front();
    bytes_ -= range->size;
    if (const auto found = ranges_.find(key); found != ranges_.end() && found->second == range) ranges_.erase(found);
    kept_.pop_front();
  }
}

/// Null where none waits. One that was given up isn't fetched.
std::shared_ptr<ReadAhead::Range> ReadAhead::next_range() {
  while (!waiting_.empty()) {
    auto range = std::move(waiting_.front());
    waiting_.pop_front();
    const auto found = ranges_.find({range->file->name(), range->offset});
    if (found != ranges_.end() && found->second == range) return range;
    range->state = State::failed;  // for who waits
    changed_.notify_all();
  }
  return nullptr;
}

void ReadAhead::work(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (changed_.wait(lock, stop, [this] { return !waiting_.empty(); })) {
    const auto range = next_range();
    if (!range) continue;
    range->state = State::fetching;
    lock.unlock();
    bool fetched = false;
    std::vector<std::byte> bytes;
    try {
      bytes = range->file->read(range->offset, range->size);
      fetched = true;
    } catch (const std::exception&) {  // who needs it tries again, and is told why
    }
    lock.lock();
    range->bytes = std::move(bytes);
    range->state = fetched ? State::there : State::failed;
    changed_.notify_all();
  }
}

bool ReadAhead::read(const std::string& file, std::int64_t offset, std::span<std::byte> bytes) {
  std::unique_lock lock(mutex_);
  auto found = ranges_.upper_bound({file, offset});
  if (found == ranges_.begin()) return false;
  --found;
  const auto range = found->second;  // the last that begins no later
  const auto end = offset + std::ssize(bytes);
  if (found->first.first != file || range->offset + range->size < end) return false;
  if (range->state == State::waiting) return false;  // reading it oneself is sooner
  changed_.wait(lock, [&] { return range->state == State::there || range->state == State::failed; });
  if (range->state == State::failed) return false;
  lock.unlock();  // its bytes don't change any more
  const auto part = std::span(range->bytes).subspan(static_cast<std::size_t>(offset - range->offset), bytes.size());
  std::copy(part.begin(), part.end(), bytes.begin());
  return true;
}

}  // namespace vlalign
