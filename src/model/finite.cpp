#include "model/finite.hpp"

#include "core/check.hpp"
#include "core/finite.hpp"

namespace vlalign {

void check_finite(const NamedTensors& tensors, const std::string& where) {
  for (const auto& [name, tensor] : tensors)
    check(all_finite(tensor), "{}: {} {} holds a NaN or an infinity: expected finite weights", where, name,
          tensor.sizes().vec());
}

}  // namespace vlalign
