// spiece.model, a message in protobuf's wire format. Internal.
#pragma once

#include <string_view>

namespace vlalign {

/// libsentencepiece trusts the tables of character replacements that a model holds, and looks up beyond their ends when
/// they are damaged. Throws Error for a model that isn't whole, or whose tables lead out of themselves.
void check_piece_model(std::string_view bytes);

}  // namespace vlalign
