// What the report shows of a test's embeddings, worked out from them alone. Internal.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "vlalign/eval/embed.hpp"

namespace vlalign {

/// A candidate retrieved for a query: a row of Embeddings::text or ::image.
struct RetrievedItem {
  std::int64_t row = 0;
  double cosine = 0.0;
  bool right = false;
};

/// A query with its best candidates, and where the best right one stands (retrieval_ranks).
struct RetrievalExample {
  std::int64_t query = 0;
  std::int64_t rank = 0;
  std::vector<RetrievedItem> best;
};

/// Cosines of pictures with captions, ordered so that like pairs stand together.
struct SimilarityMatrix {
  std::vector<std::int64_t> pictures;  ///< [n], rows of the matrix
  std::vector<std::int64_t> captions;  ///< [n], columns: one caption of each picture
  std::vector<double> cosines;         ///< [n * n]
};

/// Pictures and captions on the plane of their first two principal components, each modality centred on its own mean.
struct SpaceMap {
  std::vector<std::int64_t> pictures;
  std::vector<std::int64_t> captions;  ///< one caption of each picture
  std::vector<std::array<double, 2>> picture_points, caption_points;
  double explained = 0.0;  ///< share of the variance
};

struct ReportFigures {
  std::vector<std::int64_t> pictures;  ///< every picture that one of the figures shows, increasing
  std::vector<RetrievalExample> captions_of_pictures;
  std::vector<RetrievalExample> pictures_of_captions;
  SimilarityMatrix matrix;
  SpaceMap map;
};

/// Figures that show at most about `budget` different pictures, evenly spaced through the test.
ReportFigures make_figures(const Embeddings& embeddings, std::int64_t budget);

}  // namespace vlalign
