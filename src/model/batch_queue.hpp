// Requests of many threads, gathered into batches for one. Internal.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace vlalign {

/// Callers begin() a call, which has a place in the queue from then on, and ask(); one worker takes batches by next()
/// and answers them. Batches hold requests of one kind, in the order they came.
class BatchQueue {
 public:
  using Clock = std::chrono::steady_clock;
  enum Kind : std::size_t { frames, texts };

  struct Options {
    std::size_t most;  ///< requests of a batch
    Clock::duration delay;
    std::size_t bound;
    bool wait_when_full;
  };

  /// Lives on its caller's stack. What the worker writes is read behind ask().
  struct Request {
    at::Tensor input;                      ///< a row
    at::Tensor row{};                      ///< the answer
    std::uint64_t version = 0;             ///< of the weights
    std::optional<std::string> failure{};  ///< instead of an answer
    Clock::time_point asked{};
    bool answered = false;
    std::condition_variable wakes{};
  };

  struct Batch {
    Kind kind;
    std::vector<Request*> requests;
    Clock::time_point begun;
  };

  explicit BatchQueue(const Options& options) : options_(options) {}

  /// A call that is under way: the queue lives as long as there is one. Its place is free again when the request is in
  /// a batch.
  class Call {
   public:
    /// Waits for a place or throws Error, as the options say; throws Error once the queue is stopped.
    explicit Call(BatchQueue& queue);
    ~Call();
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

    /// Waits until the request is answered; throws its failure as Error.
    void ask(Kind kind, Request& request);

   private:
    void take_place(std::unique_lock<std::mutex>& lock);

    BatchQueue& queue_;
    bool asked_ = false;
  };

  /// The next batch: as soon as there are `most` of a kind, or the first has waited for `delay`. None once the queue is
  /// stopped. For one thread.
  std::optional<Batch> next();
  void answer(const Batch& batch);

  /// Between two batches, for as long as it lives; next() waits.
  class Pause {
   public:
    explicit Pause(BatchQueue& queue);
    ~Pause();
    Pause(const Pause&) = delete;
    Pause& operator=(const Pause&) = delete;

   private:
    BatchQueue& queue_;
    std::unique_lock<std::mutex> only_one_;
  };

  /// Whoever waits gets an Error, and so does who comes later.
  void stop();
  /// Behind stop(): until no call is under way.
  void wait_for_calls();

 private:
  using Line = std::deque<Request*>;

  Line* ready(Clock::time_point now);
  Batch take(Line& line, Clock::time_point now);
  std::optional<Clock::time_point> first_due() const;

  Options options_;
  std::mutex pauses_;
  std::mutex mutex_;  // of what follows
  std::condition_variable work_, room_, idle_, left_;
  std::array<Line, 2> lines_;  // by kind
  std::size_t places_ = 0;     // taken
  std::size_t calls_ = 0;
  bool computing_ = false, paused_ = false, stopped_ = false;
};

}  // namespace vlalign
