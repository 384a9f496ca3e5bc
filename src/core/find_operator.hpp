// LibTorch's operators by name, those that it doesn't promise to keep among them. Internal.
#pragma once

#include <ATen/core/dispatch/Dispatcher.h>

#include <optional>

namespace vlalign {

/// The operator "namespace::name", of an overload where one is named; nothing where this LibTorch has none of this
/// signature.
template <typename Signature>
std::optional<c10::TypedOperatorHandle<Signature>> find_operator(const char* name, const char* overload = "") {
  try {
    const auto found = c10::Dispatcher::singleton().findSchema({name, overload});
    return found ? std::optional(found->template typed<Signature>()) : std::nullopt;
  } catch (const c10::Error&) {
    return std::nullopt;
  }
}

}  // namespace vlalign
