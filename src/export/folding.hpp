// What a program computes of its constants alone. Internal.
#pragma once

#include "export/program.hpp"

namespace vlalign::onnx {

/// The program with operators on nothing but constants done, where what they give isn't much larger than what they
/// were given.
void fold_constants(Program& program);

}  // namespace vlalign::onnx
