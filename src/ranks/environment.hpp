// What launchers tell a process of its job. Internal.
#pragma once

#include <functional>
#include <optional>
#include <string>

namespace vlalign {

struct JobPlace {
  int rank = 0, size = 1, local_rank = 0;
  std::string host = "127.0.0.1";  ///< rank 0's
  int port = 29500;                ///< torchrun's default
  bool store_is_served = false;    ///< by the launcher, not by rank 0
  std::string prefix;              ///< of the store's keys, another after each restart
};

/// Reads a variable, none where it isn't set or is empty.
using ReadVariable = std::function<std::optional<std::string>(const char* name)>;

/// Throws Error naming the variable that isn't as its launcher sets it.
JobPlace read_job_place(const ReadVariable& read);

/// The first host of SLURM's list: "node3" of "node[3-5,9],other".
std::string first_host(const std::string& slurm_list);

}  // namespace vlalign
