// Whether LibTorch's tracer looks on. Internal.
#pragma once

#include <ATen/TracerMode.h>

namespace vlalign {

/// Whether the operators that this thread calls are being recorded (torch::jit::tracer::trace). What is computed by
/// other means would become a constant of the recording, so whoever has a faster way than ATen's operators asks here.
inline bool is_traced() { return at::tracer::impl::is_dispatch_enabled(); }

}  // namespace vlalign
