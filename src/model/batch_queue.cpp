#include "model/batch_queue.hpp"

#include <algorithm>
#include <utility>

#include "core/check.hpp"

namespace vlalign {
namespace {

constexpr const char* ended = "[BatchEncoder] the encoder was destroyed before this was computed";

}  // namespace

BatchQueue::Call::Call(BatchQueue& queue) : queue_(queue) {
  std::unique_lock lock(queue_.mutex_);
  take_place(lock);
  ++queue_.places_;
}

void BatchQueue::Call::take_place(std::unique_lock<std::mutex>& lock) {
  auto& q = queue_;
  const auto full = [&q] { return q.places_ >= q.options_.bound; };
  check(q.options_.wait_when_full || !full(), "[BatchEncoder] the queue is full: {} wait", q.options_.bound);
  ++q.calls_;
  q.room_.wait(lock, [&] { return q.stopped_ || !full(); });
  if (!q.stopped_) return;
  --q.calls_;
  q.left_.notify_all();
  fail("{}", ended);
}

BatchQueue::Call::~Call() {
  const std::lock_guard lock(queue_.mutex_);
  if (!asked_) {
    --queue_.places_;
    queue_.room_.notify_one();
  }
  --queue_.calls_;
  queue_.left_.notify_all();
}

void BatchQueue::Call::ask(Kind kind, Request& request) {
  auto& q = queue_;
  std::unique_lock lock(q.mutex_);
  check(!q.stopped_, "{}", ended);
  request.asked = Clock::now();
  q.lines_[kind].push_back(&request);
  asked_ = true;
  q.work_.notify_one();
  request.wakes.wait(lock, [&] { return request.answered; });
  if (request.failure) fail("{}", *request.failure);
}

std::optional<BatchQueue::Batch> BatchQueue::next() {
  std::unique_lock lock(mutex_);
  while (!stopped_) {
    const auto now = Clock::now();
    auto* line = paused_ ? nullptr : ready(now);
    if (line) return take(*line, now);
    const auto due = paused_ ? std::nullopt : first_due();
    if (due)
      work_.wait_until(lock, *due);
    else
      work_.wait(lock);
  }
  return {};
}

/// Of the lines that are full or have waited long enough, the one whose first came first.
BatchQueue::Line* BatchQueue::ready(Clock::time_point now) {
  Line* best = nullptr;
  for (auto& line : lines_) {
    if (line.empty()) continue;
    const auto asked = line.front()->asked;
    const bool due = line.size() >= options_.most || now >= asked + options_.delay;
    if (due && (!best || asked < best->front()->asked)) best = &line;
  }
  return best;
}

std::optional<BatchQueue::Clock::time_point> BatchQueue::first_due() const {
  std::optional<Clock::time_point> first;
  for (const auto& line : lines_)
    if (!line.empty()) first = std::min(first.value_or(Clock::time_point::max()), line.front()->asked + options_.delay);
  return first;
}

BatchQueue::Batch BatchQueue::take(Line& line, Clock::time_point now) {
  const auto end = line.begin() + static_cast<std::ptrdiff_t>(std::min(line.size(), options_.most));
  Batch batch{&line == lines_.data() ? frames : texts, {line.begin(), end}, now};
  line.erase(line.begin(), end);
  places_ -= batch.requests.size();
  room_.notify_all();
  computing_ = true;
  return batch;
}

void BatchQueue::answer(const Batch& batch) {
  const std::lock_guard lock(mutex_);
  for (auto* request : batch.requests) {
    request->answered = true;
    request->wakes.notify_one();  // under the lock, so that its caller can't take it away yet
  }
  computing_ = false;
  idle_.notify_all();
}

BatchQueue::Pause::Pause(BatchQueue& queue) : queue_(queue), only_one_(queue.pauses_) {
  std::unique_lock lock(queue_.mutex_);
  queue_.paused_ = true;
  queue_.idle_.wait(lock, [&] { return !queue_.computing_; });
}

BatchQueue::Pause::~Pause() {
  const std::lock_guard lock(queue_.mutex_);
  queue_.paused_ = false;
  queue_.work_.notify_one();
}

void BatchQueue::stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  for (auto& line : lines_) {
    for (auto* request : line) {
      request->failure = ended;
      request->answered = true;
      request->wakes.notify_one();
    }
    places_ -= line.size();
    line.clear();
  }
  work_.notify_one();
  room_.notify_all();
}

void BatchQueue::wait_for_calls() {
  std::unique_lock lock(mutex_);
  left_.wait(lock, [this] { return calls_ == 0; });
}

}  // namespace vlalign
