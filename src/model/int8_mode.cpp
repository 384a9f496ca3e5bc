#include "model/int8_mode.hpp"

#include "core/check.hpp"
#include "core/log.hpp"

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

void drop_columns(DualEncoder model, std::string_view why) {
  if (model.int8_columns().empty()) return;
  model.set_int8_columns({});
  log_warning("model {}: is no longer prepared for int8, {}: quantize it again afterwards", model.config().name, why);
}

}  // namespace vlalign
