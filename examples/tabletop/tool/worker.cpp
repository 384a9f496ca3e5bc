#include "tabletop/tool/worker.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "core/check.hpp"

namespace tabletop::tool {
namespace {

void send(const nlohmann::json& result, std::FILE* pipe) {
  const auto bytes = nlohmann::json::to_cbor(result);
  if (std::fwrite(bytes.data(), 1, bytes.size(), pipe) != bytes.size()) _exit(1);  // nobody reads any more
}

/// What the other process does, to its end.
[[noreturn]] void run(const std::function<void(const Worker::Send&)>& work, std::FILE* pipe) {
  try {
    work([&](const nlohmann::json& result) { send({{"result", result}}, pipe); });
  } catch (const std::exception& error) {
    send({{"error", error.what()}}, pipe);
  }
  std::fclose(pipe);
  _exit(0);
}

}  // namespace

Worker::Worker(const std::function<void(const Send&)>& work) {
  int ends[2];
  vlalign::check(pipe2(ends, O_CLOEXEC) == 0, "[Worker] no pipe: {}", std::strerror(errno));
  process_ = fork();
  vlalign::check(process_ >= 0, "[Worker] no process: {}", std::strerror(errno));
  if (process_ == 0) {
    close(ends[0]);
    run(work, fdopen(ends[1], "w"));
  }
  close(ends[1]);
  results_ = fdopen(ends[0], "r");
}

Worker::~Worker() {
  std::fclose(results_);  // ends a process that still sends
  waitpid(process_, nullptr, 0);
}

nlohmann::json Worker::next() {
  auto sent = nlohmann::json::from_cbor(results_, /*strict=*/false, /*allow_exceptions=*/false);
  vlalign::check(sent.is_object(), "[Worker] a process ended before its work was done");
  if (sent.contains("error")) vlalign::fail("{}", sent["error"].get<std::string>());
  return std::move(sent["result"]);
}

}  // namespace tabletop::tool
