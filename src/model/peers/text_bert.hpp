// What RoBERTa's family shares with BERT.
#pragma once

#include "core/json/json_section.hpp"
#include "model/peers/peer_names.hpp"

namespace vlalign {

NamingSchemes schemes_bert(const TextConfig& text);

/// Throws Error for positions that attention sees as distances.
void check_absolute_positions(JsonSection& section);

}  // namespace vlalign
