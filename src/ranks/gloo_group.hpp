// LibTorch's collectives among CPUs. Internal; the one file that knows Gloo is gloo_group.cpp.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>

namespace vlalign {

/// Connects to all other ranks, each of which calls this. The others reach this one at an address of this host, that of
/// its name without one, or by the interface that GLOO_SOCKET_IFNAME names.
///   connecting: how long each of them may take
c10::intrusive_ptr<c10d::Backend> make_gloo_group(const c10::intrusive_ptr<c10d::Store>& store, int rank, int size,
                                                  std::chrono::milliseconds connecting,
                                                  const std::optional<std::string>& address);

}  // namespace vlalign
