// LibTorch's collectives among CPUs. Internal; the one file that knows Gloo is gloo_group.cpp.
#pragma once

#include <chrono>
#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>

namespace vlalign {

/// Connects to all other ranks, each of which calls this. GLOO_SOCKET_IFNAME names the interface where the host's name
/// leads to another.
///   connecting: how long each of them may take
c10::intrusive_ptr<c10d::Backend> make_gloo_group(const c10::intrusive_ptr<c10d::Store>& store, int rank, int size,
                                                  std::chrono::milliseconds connecting);

}  // namespace vlalign
