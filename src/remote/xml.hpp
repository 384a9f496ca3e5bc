// As much of XML as S3's answers need. Internal.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vlalign {

/// What stands inside each element of this name, as it is written, in their order. Elements inside one of the same
/// name are not told apart: S3 has none.
std::vector<std::string_view> xml_elements(std::string_view xml, std::string_view name);

/// The text of the first element of this name, with what & stands for; none where there is no such element.
std::optional<std::string> xml_text(std::string_view xml, std::string_view name);

/// The other way: for text between elements.
std::string xml_escaped(std::string_view text);

}  // namespace vlalign
