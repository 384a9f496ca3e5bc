// The processes that `launch` starts.
#pragma once

#include <poll.h>
#include <sys/types.h>

#include <chrono>
#include <map>
#include <string>
#include <vector>

namespace vlalign::tool {

struct RankCommand {
  std::vector<std::string> words;                ///< the program, looked up as a shell does, and its arguments
  std::map<std::string, std::string> variables;  ///< beside this process's own
};

/// How a job of several processes ended.
struct JobEnd {
  int status = 0;         ///< of the first that failed, as a shell has it: 128 + N for signal N; 0: none did
  std::vector<int> lost;  ///< ranks that didn't end by themselves, or that ssh couldn't reach
  int interrupted = 0;    ///< the signal that asked this process to end; 0: none did

  bool ended_as_asked() const { return interrupted != 0 && status == 128 + interrupted; }
};

/// Processes of ranks 0, 1, ... of which rank 0 speaks for itself and the others' lines are named. They end with this
/// process, however it ends.
class RankProcesses {
 public:
  /// Throws Error where one can't be started; those before are ended.
  explicit RankProcesses(const std::vector<RankCommand>& commands);
  RankProcesses(const RankProcesses&) = delete;
  RankProcesses& operator=(const RankProcesses&) = delete;
  ~RankProcesses();

  /// Waits for all. The first that fails is named in the log; the others have some time to say what they know of it,
  /// and are killed then. The first signal that asks this process to end is handed on to all, which have some minutes
  /// to finish their step and write a checkpoint; a second one ends this process, and them with it.
  JobEnd wait(std::chrono::seconds patience);

 private:
  struct Process {
    pid_t id = -1;  ///< -1 where it has ended
    int output = -1;
    std::string line;  ///< of its output, as far as it has come
  };

  void start(const RankCommand& command);
  void send(int signal) const;
  bool any_runs() const;
  void read_outputs(int milliseconds);
  void read_output(std::size_t rank);
  void say(std::size_t rank, const std::string& line) const;
  void note_ends(JobEnd& end);

  std::vector<Process> processes_;
  bool only_slow_ = false;  ///< another is known to be lost: those that still run don't hang, they are slow to end
};

}  // namespace vlalign::tool
