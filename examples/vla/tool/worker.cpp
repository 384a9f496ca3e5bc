#include "worker.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "core/check.hpp"

namespace tabletop::tool {
namespace {

int run(const std::function<void(const Worker::Send&)>& work, std::FILE* results) {
  try {
    work([&](const nlohmann::json& result) {
      const auto bytes = nlohmann::json::to_cbor(result);
      vlalign::check(std::fwrite(bytes.data(), 1, bytes.size(), results) == bytes.size(), "[Worker] cannot send: {}",
                     std::strerror(errno));
    });
    return std::fclose(results) == 0 ? 0 : 1;
  } catch (const std::exception& error) {
    fmt::print(stderr, "error: {}\n", error.what());
    return 1;
  }
}

}  // namespace

Worker::Worker(const std::function<void(const Send&)>& work) {
  int ends[2];
  vlalign::check(pipe2(ends, O_CLOEXEC) == 0, "[Worker] no pipe: {}", std::strerror(errno));
  process_ = fork();
  vlalign::check(process_ >= 0, "[Worker] no process: {}", std::strerror(errno));
  if (process_ == 0) {
    close(ends[0]);
    _exit(run(work, fdopen(ends[1], "w")));
  }
  close(ends[1]);
  results_ = fdopen(ends[0], "r");
}

Worker::~Worker() {
  std::fclose(results_);  // ends a process that still sends
  waitpid(process_, nullptr, 0);
}

nlohmann::json Worker::next() {
  auto result = nlohmann::json::from_cbor(results_, /*strict=*/false, /*allow_exceptions=*/false);
  vlalign::check(!result.is_discarded(), "[Worker] a process ended before its work was done");
  return result;
}

}  // namespace tabletop::tool
