// LibTorch's collectives among GPUs. Internal; the one file that knows NCCL is nccl_group.cpp.
#pragma once

#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>

namespace vlalign {

/// For numbers on this process's current GPU; it connects to the other ranks when numbers first travel. None where this
/// build is without NCCL or the machine without a GPU.
c10::intrusive_ptr<c10d::Backend> make_nccl_group(const c10::intrusive_ptr<c10d::Store>& store, int rank, int size);

}  // namespace vlalign
