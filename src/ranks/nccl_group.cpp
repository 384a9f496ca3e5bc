#ifdef VLALIGN_NCCL
#define USE_C10D_NCCL
#endif
#include "ranks/nccl_group.hpp"

#include <ATen/Context.h>

#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#ifdef VLALIGN_NCCL
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#endif

namespace vlalign {

#ifdef VLALIGN_NCCL
c10::intrusive_ptr<c10d::Backend> make_nccl_group(const c10::intrusive_ptr<c10d::Store>& store, int rank, int size) {
  if (!at::hasCUDA()) return {};
  return c10::make_intrusive<c10d::ProcessGroupNCCL>(c10::make_intrusive<c10d::PrefixStore>("nccl", store), rank, size,
                                                     c10d::ProcessGroupNCCL::Options::create());
}
#else
c10::intrusive_ptr<c10d::Backend> make_nccl_group(const c10::intrusive_ptr<c10d::Store>&, int, int) { return {}; }
#endif

}  // namespace vlalign
