// What Ranks is behind its pointer. Internal.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ranks/gloo_group.hpp"
#include "ranks/own_address.hpp"
#include "ranks/watch.hpp"
#include "vlalign/ranks/ranks.hpp"

namespace vlalign {

struct Ranks::State {
  State(int its_rank, int its_size, int its_local_rank, const RanksOptions& its_options);
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State();

  /// Finds the others in a store, which `make` connects to.
  ///   route: to the host of rank 0, where it is known
  void meet(const std::function<c10::intrusive_ptr<c10d::Store>()>& make, const std::optional<Route>& route);

  /// Starts a collective of numbers on some device; what it gives is waited for with wait().
  c10::intrusive_ptr<c10d::Work> start(const at::Tensor& numbers,
                                       const std::function<c10::intrusive_ptr<c10d::Work>(c10d::Backend&)>& collective);
  /// Throws Error naming the rank that is lost.
  void wait(const at::Tensor& numbers, const c10::intrusive_ptr<c10d::Work>& work);
  /// Gathers as many numbers of each rank, [n] in all, into [R n].
  void all_gather(at::Tensor own, at::Tensor all);
  /// Starts to send numbers to one rank, or to receive them from it; which is waited for with wait_for_message(), while
  /// the tensor lives. tag: tells messages between the same two apart
  c10::intrusive_ptr<c10d::Work> send(at::Tensor numbers, int to, int tag);
  c10::intrusive_ptr<c10d::Work> receive(at::Tensor numbers, int from, int tag);
  void wait_for_message(const c10::intrusive_ptr<c10d::Work>& message);
  /// Bytes that a ring of ranks sends for the sum of a tensor.
  std::int64_t bytes_of_sum(const at::Tensor& numbers) const;

  int rank, size, local_rank;
  RanksOptions options;
  std::vector<std::string> names;
  std::atomic<std::int64_t> bytes{0};
  std::atomic<double> waited{0};
  std::unique_ptr<Watch> watch;
  bool broken = false;  ///< a rank was lost, or this one told that it ends

 private:
  void leave() noexcept;
  std::string host_of(int other);
  c10d::Backend& backend_of(const at::Tensor& numbers) const;
  std::string wait_for_a_name(const std::string& otherwise);
  [[noreturn]] void give_up(const std::string& why);

  c10::intrusive_ptr<c10d::Store> store;
  c10::intrusive_ptr<c10d::Backend> among_cpus, among_gpus;
};

std::int64_t bytes_of_row(const at::Tensor& rows);

/// How many rows each rank has. Collective; throws Error on all ranks where their rows aren't equally wide.
///   width: bytes of a row
std::vector<std::int64_t> counts_of_rows(Ranks::State& ranks, std::int64_t own, std::int64_t width);

}  // namespace vlalign
