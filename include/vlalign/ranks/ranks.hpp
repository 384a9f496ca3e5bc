#pragma once

#include <ATen/core/Tensor.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "vlalign/core/export.hpp"

namespace vlalign {

struct RanksOptions {
  /// How long another process may be silent before this one gives up with an Error that names it.
  std::chrono::seconds timeout{30};
};

/// The processes that work on one job together, numbered from 0, and which of them this one is. Collective functions
/// are called by all of them in the same order; of one process alone they do nothing.
///
///     const auto ranks = Ranks::from_environment();
///     const auto everywhere = ranks.gather(rows);  // those of all ranks, with their gradient
///
/// Copies are the same ranks. Every function throws Error that names the rank and its host where another process ended,
/// stopped or was cut off, or told that it failed; the ranks can't be used afterwards. Where one rank alone throws, for
/// whatever reason, the others wait for it until it ends, or tells them with fail().
class VLALIGN_EXPORT Ranks {
 public:
  /// This process alone.
  Ranks();

  /// For programs with a launcher of their own, whose ranks are on one host. Waits for the others, at most five
  /// minutes.
  ///   store: where they meet, "HOST:PORT", at which rank 0 listens, or a file that all of them see and that isn't
  ///   there before the job
  Ranks(const std::string& store, int rank, int size, const RanksOptions& options = {});

  /// As `vlalign launch`, torchrun, mpirun or srun started this process, by the variables that they set: RANK,
  /// WORLD_SIZE, MASTER_ADDR and MASTER_PORT; OMPI_COMM_WORLD_RANK and _SIZE; PMI_RANK and _SIZE; SLURM_PROCID and
  /// SLURM_NTASKS. Where none is set, or the size is 1, alone. Without MASTER_ADDR the job is on this host, but for
  /// srun's, which names the first. To be called once in a process. Throws Error for variables that are no such
  /// numbers, and where RANK is set without WORLD_SIZE or the other way round.
  static Ranks from_environment(const RanksOptions& options = {});

  int rank() const noexcept;
  int size() const noexcept;
  bool alone() const noexcept { return size() == 1; }
  /// Which of this host's ranks this is: the number of its GPU.
  int local_rank() const noexcept;
  /// "rank 2 on host robot-7".
  std::string name(int rank) const;

  /// Replaces numbers by their sum over the ranks: the same bits on each. They are contiguous, of as many on each rank,
  /// and float32, float64, float16, bfloat16, uint8, int8, int32 or int64.
  void sum(at::Tensor numbers) const;

  /// The rows of all ranks, in the order of the ranks, each of which may have another number of them, or none:
  /// [n_0 + n_1 + ..., ...] of [n_r, ...]. Differentiable once; the gradient of a rank's rows is the sum of what all
  /// ranks ask for.
  at::Tensor gather(const at::Tensor& rows) const;

  /// The same of several parts of each row, [n_r, ...] each, of any types, which travel together. All ranks must ask
  /// for the gradients of the same parts. Throws Error on all ranks where their rows aren't equally wide.
  std::vector<at::Tensor> gather(const std::vector<at::Tensor>& parts) const;

  /// The text of each rank.
  std::vector<std::string> gather(std::string_view text) const;

  /// Replaces numbers by those of one rank. As for sum(), contiguous and of as many on each.
  void broadcast(at::Tensor numbers, int from = 0) const;

  /// Waits until all ranks have come here.
  void barrier() const;

  /// Tells the others that this process can't go on, so that they end with an Error that says so within a second or
  /// two.
  void fail(std::string_view why) const noexcept;

  /// Bytes that this process has sent in collective functions: of n numbers of b bytes on R ranks sum() sends
  /// 2 n b (R - 1) / R, gather() n b (R - 1) for the largest n of any rank, and the rank that broadcasts n b.
  std::int64_t bytes_sent() const noexcept;

  /// Seconds that this process has waited for others in collective functions.
  double seconds_waited() const noexcept;

  struct VLALIGN_HIDDEN State;
  State* state() const noexcept { return state_.get(); }

 private:
  std::shared_ptr<State> state_;
};

}  // namespace vlalign
