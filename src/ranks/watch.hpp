// Whether all ranks are alive. Internal.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <torch/csrc/distributed/c10d/Store.hpp>
#include <vector>

namespace vlalign {

/// A thread that counts up a number of its own in the store and looks at those of the others: who has stood still for
/// too long is lost, killed or stopped. Where the store itself doesn't answer, rank 0 is, or the way to it.
class Watch {
 public:
  using Clock = std::chrono::steady_clock;

  /// store: a connection of the watch's own; names: of the ranks, for people
  Watch(c10::intrusive_ptr<c10d::Store> store, int rank, std::vector<std::string> names,
        std::chrono::milliseconds patience);
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  /// Tells the others that this rank is through.
  ~Watch();

  /// Sets this rank's number, without which nobody may look.
  static void begin(c10d::Store& store, int rank);

  /// What became of a rank; none while all are well.
  std::optional<std::string> fault() const;

  /// Tells the others what became of a rank. On rank 0, whose end takes the store along, until they have looked.
  void tell(std::string_view fault) noexcept;

 private:
  std::chrono::milliseconds period() const;
  void run();
  void look();
  void listen();
  void note_fault(std::string fault);
  bool is_asked_to_stop(std::chrono::milliseconds wait);

  c10::intrusive_ptr<c10d::Store> store_;
  int rank_;
  std::vector<std::string> names_;
  std::chrono::milliseconds patience_;
  std::atomic<Clock::time_point> answered_;  ///< when the store last did

  // Of the thread.
  std::vector<std::string> counts_;
  std::vector<Clock::time_point> changed_;
  std::vector<std::string> keys_;

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::optional<std::string> fault_;
  std::mutex store_mutex_;  ///< a connection is for one at a time
  std::thread thread_;
};

}  // namespace vlalign
