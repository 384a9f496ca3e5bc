#include "kernels/thread_count.hpp"

#include <ATen/Parallel.h>

#include "core/check.hpp"

// LibTorch brings both, where it is built with them.
extern "C" {
[[gnu::weak]] void omp_set_num_threads(int) noexcept;
[[gnu::weak]] int MKL_Set_Num_Threads_Local(int) noexcept;
}

namespace vlalign {
namespace {

void set(int count) {
  if (omp_set_num_threads) omp_set_num_threads(count);
  if (at::get_num_threads() != count) at::set_num_threads(count);  // it has another runtime than OpenMP, or its own
}

int set_mkl(int count) { return MKL_Set_Num_Threads_Local ? MKL_Set_Num_Threads_Local(count) : 0; }

}  // namespace

ThreadCount::ThreadCount(int count) {
  const int now = at::get_num_threads();
  if (count == 0 || count == now) return;
  before_ = now;
  set(count);
  of_mkl_before_ = set_mkl(count);
}

ThreadCount::~ThreadCount() {
  if (before_ == 0) return;
  set(before_);
  set_mkl(of_mkl_before_);
}

void check_threads(int count, const char* owner) {
  check(count >= 0, "[{}] threads: expected 0 or more, got {}", owner, count);
  check(count <= largest_thread_count, "[{}] threads: expected at most {}, got {}", owner, largest_thread_count, count);
}

}  // namespace vlalign
