#pragma once

#include <cstdint>
#include <string_view>

#include "vlalign/eval/retrieval.hpp"
#include "vlalign/eval/zero_shot.hpp"

namespace vlalign::tool {

/// Held-out figures as a small table on stdout, chance beside them.
void print_scores(std::string_view title, const RetrievalScores& scores);

/// The same of a classification among so many classes.
void print_scores(std::string_view title, const ZeroShotScores& scores, std::int64_t classes);

}  // namespace vlalign::tool
