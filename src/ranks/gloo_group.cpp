#define USE_C10D_GLOO
#include "ranks/gloo_group.hpp"

#include <cstdlib>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>

namespace vlalign {

c10::intrusive_ptr<c10d::Backend> make_gloo_group(const c10::intrusive_ptr<c10d::Store>& store, int rank, int size,
                                                  std::chrono::milliseconds connecting,
                                                  const std::optional<std::string>& address) {
  using Options = c10d::ProcessGroupGloo::Options;
  const bool by_address = address && std::getenv("GLOO_SOCKET_IFNAME") == nullptr;
  const auto options = by_address ? Options::create(connecting) : Options::create_default(connecting);
  if (by_address) options->devices = {c10d::ProcessGroupGloo::createDeviceForHostname(*address)};
  return c10::make_intrusive<c10d::ProcessGroupGloo>(c10::make_intrusive<c10d::PrefixStore>("gloo", store), rank, size,
                                                     options);
}

}  // namespace vlalign
