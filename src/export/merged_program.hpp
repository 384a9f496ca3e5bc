// One program out of recordings of several sizes. Internal.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "export/program.hpp"

namespace vlalign::onnx {

/// The program that gives each of the recordings at its extent: the first one's operators, with sizes as functions of
/// the extent.
///   extents: as explain() wants them
///   what: of which errors speak, such as "the text tower"
/// Throws Error naming the operator where there is none: the recordings have other operators, a size follows from the
/// batch in another way, or a constant differs, which then was computed where the tracer doesn't see it.
Program merged(const std::vector<Program>& recordings, std::span<const Extent> extents, const std::string& what);

}  // namespace vlalign::onnx
