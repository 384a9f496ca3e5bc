#pragma once

#include <sys/types.h>

#include <cstdio>
#include <functional>
#include <nlohmann/json.hpp>

namespace tabletop::tool {

/// Work in a process of its own, whose results come back one after the other through a pipe. Threads would not do for
/// drawing: in Mesa's software renderer those of one process draw one at a time.
class Worker {
 public:
  using Send = std::function<void(const nlohmann::json& result)>;

  /// To be made before the program has threads.
  explicit Worker(const std::function<void(const Send&)>& work);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  /// The next result, in the order in which they were sent; waits for it. Throws Error with the words of what the work
  /// threw, and when it has ended.
  nlohmann::json next();

 private:
  pid_t process_ = -1;
  std::FILE* results_ = nullptr;
};

}  // namespace tabletop::tool
