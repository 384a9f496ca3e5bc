#pragma once

#include <string_view>

#include "vlalign/eval/retrieval.hpp"

namespace vlalign::tool {

/// Held-out figures as a small table on stdout, chance beside them.
void print_scores(std::string_view title, const RetrievalScores& scores);

}  // namespace vlalign::tool
