#include "tool/rank_processes.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "core/check.hpp"
#include "core/log.hpp"
#include "tool/stop_signals.hpp"

namespace vlalign::tool {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int ssh_failed = 255, not_started = 127;

/// What a rank may take to end its step and to write a checkpoint.
constexpr std::chrono::minutes time_to_stop{5};

/// As a shell has it.
int status_of(int end) { return WIFSIGNALED(end) ? 128 + WTERMSIG(end) : WEXITSTATUS(end); }

/// In the new process; never returns.
[[noreturn]] void become(const RankCommand& command, int output, pid_t launcher) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != launcher) ::_exit(not_started);  // it ended before it could be told
  ::setpgid(0, 0);  // a terminal's Ctrl-C goes to the launcher alone, which hands it on
  if (output >= 0) {
    ::dup2(output, STDOUT_FILENO);
    ::dup2(output, STDERR_FILENO);
  }
  // In the background it would be stopped where it reads a terminal.
  const int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (nothing >= 0) ::dup2(nothing, STDIN_FILENO);
  for (const auto& [name, value] : command.variables) ::setenv(name.c_str(), value.c_str(), 1);
  std::vector<char*> words;
  for (const auto& word : command.words) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  ::execvp(words[0], words.data());
  fmt::print(stderr, "error: {}: {}\n", command.words[0], std::strerror(errno));
  ::_exit(not_started);
}

}  // namespace

RankProcesses::RankProcesses(const std::vector<RankCommand>& commands) {
  try {
    for (const auto& command : commands) start(command);
  } catch (...) {
    send(SIGKILL);
    throw;
  }
}

RankProcesses::~RankProcesses() {
  send(SIGKILL);
  for (auto& process : processes_) {
    if (process.id > 0) ::waitpid(process.id, nullptr, 0);
    if (process.output >= 0) ::close(process.output);
  }
}

void RankProcesses::start(const RankCommand& command) {
  std::array<int, 2> pipe{-1, -1};
  const bool leads = processes_.empty();
  if (!leads) check(::pipe2(pipe.data(), O_CLOEXEC) == 0, "cannot start a process: {}", std::strerror(errno));
  std::fflush(nullptr);
  const auto launcher = ::getpid();
  const auto id = ::fork();
  const int why = errno;
  if (id == 0) become(command, pipe[1], launcher);
  if (!leads) ::close(pipe[1]);
  if (id < 0 && !leads) ::close(pipe[0]);
  check(id > 0, "cannot start a process: {}", std::strerror(why));
  processes_.push_back({.id = id, .output = pipe[0], .line = {}});
}

void RankProcesses::send(int signal) const {
  for (const auto& process : processes_)
    if (process.id > 0) ::kill(process.id, signal);
}

bool RankProcesses::any_runs() const {
  return std::any_of(processes_.begin(), processes_.end(), [](const auto& process) { return process.id > 0; });
}

JobEnd RankProcesses::wait(std::chrono::seconds patience) {
  const StopSignals signals;
  JobEnd end;
  auto deadline = Clock::time_point::max();
  while (any_runs()) {
    read_outputs(100);
    const bool well = end.status == 0;
    note_ends(end);
    if (well && end.status != 0 && !end.ended_as_asked()) deadline = std::min(deadline, Clock::now() + patience);
    if (end.interrupted == 0 && signals.first() != 0) {
      end.interrupted = signals.first();
      deadline = std::min(deadline, Clock::now() + time_to_stop);
      send(end.interrupted);
    }
    if (Clock::now() > deadline) {
      only_slow_ = only_slow_ || !end.lost.empty();
      send(SIGKILL);
    }
  }
  read_outputs(0);
  if (end.interrupted != 0 && end.status != 0) end.status = 128 + end.interrupted;
  return end;
}

void RankProcesses::read_outputs(int milliseconds) {
  std::vector<pollfd> wanted;
  std::vector<std::size_t> ranks;
  for (std::size_t rank = 0; rank < processes_.size(); ++rank) {
    if (processes_[rank].output < 0) continue;
    wanted.push_back({.fd = processes_[rank].output, .events = POLLIN, .revents = 0});
    ranks.push_back(rank);
  }
  if (::poll(wanted.data(), wanted.size(), milliseconds) <= 0) return;
  for (std::size_t i = 0; i < wanted.size(); ++i)
    if (wanted[i].revents != 0) read_output(ranks[i]);
}

void RankProcesses::read_output(std::size_t rank) {
  auto& process = processes_[rank];
  std::array<char, 4096> buffer{};
  const auto count = ::read(process.output, buffer.data(), buffer.size());
  if (count < 0 && errno == EINTR) return;
  if (count > 0) process.line.append(buffer.data(), static_cast<std::size_t>(count));
  for (auto end = process.line.find('\n'); end != process.line.npos; end = process.line.find('\n')) {
    say(rank, process.line.substr(0, end));
    process.line.erase(0, end + 1);
  }
  if (count > 0) return;
  if (!process.line.empty()) say(rank, process.line);
  ::close(std::exchange(process.output, -1));
}

/// Over rank 0's progress, which is rewritten in its line on a terminal.
void RankProcesses::say(std::size_t rank, const std::string& line) const {
  const auto text = fmt::format("{}[rank {}] {}\n", ::isatty(STDERR_FILENO) == 1 ? "\r\x1b[K" : "", rank, line);
  std::fputs(text.c_str(), stderr);  // that nobody may read is no reason to end
}

void RankProcesses::note_ends(JobEnd& end) {
  for (std::size_t rank = 0; rank < processes_.size(); ++rank) {
    auto& process = processes_[rank];
    int how = 0;
    if (process.id < 0 || ::waitpid(process.id, &how, WNOHANG) != process.id) continue;
    process.id = -1;
    const int status = status_of(how);
    const bool lost = status == ssh_failed || (WIFSIGNALED(how) && !only_slow_);
    if (lost) end.lost.push_back(static_cast<int>(rank));
    if (status == 0 || end.status != 0) continue;
    end.status = status;
    if (end.ended_as_asked()) continue;
    log_warning("rank {} {}", rank,
                WIFSIGNALED(how)
                    ? fmt::format("was killed by signal {} ({})", WTERMSIG(how), ::strsignal(WTERMSIG(how)))
                    : fmt::format("ended with status {}", status));
  }
}

}  // namespace vlalign::tool
