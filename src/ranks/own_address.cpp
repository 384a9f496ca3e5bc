#include "ranks/own_address.hpp"

#include <fmt/format.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <memory>

namespace vlalign {
namespace {

std::string number_of(const sockaddr* address, socklen_t size) {
  std::array<char, NI_MAXHOST> text{};
  return ::getnameinfo(address, size, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST) == 0 ? text.data() : "";
}

bool is_loopback(const std::string& address) { return address.starts_with("127.") || address == "::1"; }

std::string key(int rank) { return fmt::format("address of rank 0/{}", rank); }

}  // namespace

Route route_to(const std::string& host, int port) {
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_DGRAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &wanted, &found) != 0) return {};
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> all(found, ::freeaddrinfo);
  for (const auto* to = all.get(); to != nullptr; to = to->ai_next) {
    const int fd = ::socket(to->ai_family, to->ai_socktype | SOCK_CLOEXEC, to->ai_protocol);
    if (fd < 0) continue;
    sockaddr_storage own{};
    socklen_t size = sizeof(own);
    // Of datagrams this only chooses the way.
    const bool leads = ::connect(fd, to->ai_addr, to->ai_addrlen) == 0 &&
                       ::getsockname(fd, reinterpret_cast<sockaddr*>(&own), &size) == 0;
    ::close(fd);
    if (!leads) continue;
    Route route{.own = number_of(reinterpret_cast<sockaddr*>(&own), size),
                .other = number_of(to->ai_addr, to->ai_addrlen)};
    route.on_this_host = is_loopback(route.own);
    return route;
  }
  return {};
}

std::optional<std::string> own_address(c10d::Store& store, int rank, int size, const Route& route) {
  store.set(key(rank), route.on_this_host ? "" : route.other);
  for (int r = 0; r < size; ++r) {
    const auto address = store.get_to_str(key(r));
    if (!address.empty()) return route.on_this_host ? address : route.own;
  }
  return {};
}

}  // namespace vlalign
