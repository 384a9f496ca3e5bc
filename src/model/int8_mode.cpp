#include "model/int8_mode.hpp"

#include "core/check.hpp"

namespace vlalign {

nn::Int8Mode checked_mode(const DualEncoder& model, Precision precision) {
  if (precision == Precision::int8) {
    const auto& name = model.config().name;
    check(!model.int8_columns().empty(),
          "[int8] model {}: not prepared for int8: quantize() does that, and `vlalign quantize`", name);
    check(model.device().is_cpu(), "[int8] model {}: expected one on a CPU, got it on {}", name, model.device().str());
  }
  return nn::Int8Mode(precision);
}

}  // namespace vlalign
