// Which captions some pictures find. Internal.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "vlalign/eval/embed.hpp"

namespace vlalign {

struct RetrievedCaptions {
  struct Hit {
    std::string caption;
    double cosine = 0;
    bool right = false;  ///< one of the picture's own, or of the same words
  };
  std::int64_t row = 0;   ///< of the picture, in Embeddings::image
  std::vector<Hit> best;  ///< best first, different from each other; fewer where there are no more
  Hit own;                ///< the best of the picture's own
  std::int64_t rank = 0;  ///< of that one, as retrieval_ranks() counts
};

/// The three best captions of the pictures in these rows.
std::vector<RetrievedCaptions> retrieved_captions(const Embeddings& embeddings, const std::vector<std::int64_t>& rows);

}  // namespace vlalign
