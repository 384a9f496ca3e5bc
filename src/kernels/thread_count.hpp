// How many threads LibTorch uses for what one thread asks of it. Internal.
#pragma once

namespace vlalign {

/// What a number of threads may be at most: more than any machine has cores, and few enough for the system to give.
/// LibTorch would start them all, and wait for each at every operator.
constexpr int largest_thread_count = 1024;

/// Sets it for as long as this lives, for the calling thread alone. at::set_num_threads() is for the whole process:
/// other threads that start meanwhile take the number over, and oneDNN's kept kernels are thrown away.
class ThreadCount {
 public:
  /// count: 0 leaves it as it is
  explicit ThreadCount(int count);
  ThreadCount(const ThreadCount&) = delete;
  ThreadCount& operator=(const ThreadCount&) = delete;
  ~ThreadCount();

 private:
  int before_ = 0;         // 0: nothing was changed
  int of_mkl_before_ = 0;  // 0: as its other settings say
};

/// Throws Error unless that is 0 to largest_thread_count.
///   owner: for messages
void check_threads(int count, const char* owner);

}  // namespace vlalign
