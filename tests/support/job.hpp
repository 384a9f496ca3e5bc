// Runs one test in several processes that are each other's ranks.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "support/temp_folder.hpp"

namespace vlalign::test {

struct RankEnd {
  int status = 0;  ///< of waitpid
  std::string said;
};

/// A port that nobody listens at.
inline int free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  EXPECT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), 0);
  ::close(fd);
  return ntohs(address.sin_port);
}

/// Starts this program once for each rank with one of its disabled tests, as torchrun would, and waits for all.
///   at_work: called with the processes' ids while they run
inline std::vector<RankEnd> run_job(int size, const std::string& test,
                                    const std::function<void(const std::vector<pid_t>&)>& at_work = {}) {
  const TempFolder folder;
  const auto port = std::to_string(free_port());
  std::vector<pid_t> processes;
  const auto output = [&](int rank) { return (folder.path() / std::to_string(rank)).string(); };
  for (int rank = 0; rank < size; ++rank) {
    const std::vector<std::string> set{"RANK=" + std::to_string(rank), "WORLD_SIZE=" + std::to_string(size),
                                       "MASTER_ADDR=127.0.0.1", "MASTER_PORT=" + port, "OMP_NUM_THREADS=1"};
    std::vector<std::string> words{"ranks", "--gtest_also_run_disabled_tests", "--gtest_brief=1",
                                   "--gtest_filter=" + test};
    std::vector<char*> arguments, environment;
    for (auto& word : words) arguments.push_back(word.data());
    for (const auto& variable : set) environment.push_back(const_cast<char*>(variable.c_str()));
    for (char** own = environ; *own != nullptr; ++own)
      if (std::string_view(*own).starts_with("VLALIGN_")) environment.push_back(*own);
    arguments.push_back(nullptr), environment.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, output(rank).c_str(), O_WRONLY | O_CREAT, 0600);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    pid_t process = 0;
    EXPECT_EQ(posix_spawn(&process, "/proc/self/exe", &actions, nullptr, arguments.data(), environment.data()), 0);
    posix_spawn_file_actions_destroy(&actions);
    processes.push_back(process);
  }
  if (at_work) at_work(processes);
  std::vector<RankEnd> ends;
  for (int rank = 0; rank < size; ++rank) {
    RankEnd end;
    EXPECT_EQ(::waitpid(processes[static_cast<std::size_t>(rank)], &end.status, 0),
              processes[static_cast<std::size_t>(rank)]);
    std::ifstream in(output(rank));
    end.said.assign(std::istreambuf_iterator<char>(in), {});
    ends.push_back(std::move(end));
  }
  return ends;
}

/// Sends a signal to one rank of three once they are at work in a test that ends with status 1 and the error's text;
/// the others end by themselves and name it.
inline void expect_lost_rank_named(const std::string& test, int lost, int signal) {
  const auto ends = run_job(3, test, [&](const std::vector<pid_t>& processes) {
    ::sleep(3);
    ::kill(processes[static_cast<std::size_t>(lost)], signal);
    for (int rank = 0; rank < 3; ++rank) {
      siginfo_t ended{};
      if (rank != lost)
        ::waitid(P_PID, static_cast<id_t>(processes[static_cast<std::size_t>(rank)]), &ended, WEXITED | WNOWAIT);
    }
    ::kill(processes[static_cast<std::size_t>(lost)], SIGKILL);
  });
  for (int rank = 0; rank < 3; ++rank) {
    if (rank == lost) continue;
    const auto& end = ends[static_cast<std::size_t>(rank)];
    EXPECT_TRUE(WIFEXITED(end.status) && WEXITSTATUS(end.status) == 1) << end.said;
    EXPECT_NE(end.said.find("[Ranks] rank " + std::to_string(lost) + " on host "), std::string::npos) << end.said;
  }
}

}  // namespace vlalign::test
