// How many threads at::parallel_for may use. Internal.
#pragma once

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdint>

namespace vlalign {

/// At least as many as at::get_thread_num() counts in a parallel_for of ours: a LibTorch with an OpenMP runtime of its
/// own knows nothing of the threads of ours.
inline std::int64_t most_threads() {
#if defined(_OPENMP)
  return std::max(at::get_num_threads(), omp_get_max_threads());
#else
  return at::get_num_threads();
#endif
}

}  // namespace vlalign
