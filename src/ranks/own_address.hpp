// Under which address the other ranks reach this one. Internal.
#pragma once

#include <optional>
#include <string>
#include <torch/csrc/distributed/c10d/Store.hpp>

namespace vlalign {

/// Numeric addresses, of this host as seen on the way to another, and of that.
struct Route {
  std::string own, other;
  bool on_this_host = true;  ///< loopback addresses
};

/// The way to a host, to which nothing is sent; where no way leads there, that to this one.
Route route_to(const std::string& host, int port);

/// This host's address on the way to rank 0. A host often calls its own name a loopback address: rank 0, and those
/// beside it, therefore have the address under which the ranks elsewhere see rank 0. None where all are on one host.
/// Collective.
///   route: from here to rank 0
std::optional<std::string> own_address(c10d::Store& store, int rank, int size, const Route& route);

}  // namespace vlalign
