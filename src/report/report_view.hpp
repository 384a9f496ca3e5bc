// One test as the report shows it. Internal.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "report/report_figures.hpp"
#include "vlalign/report/report.hpp"

namespace vlalign {

struct ReportView {
  const ReportTest* test = nullptr;
  std::optional<ReportFigures> figures;        ///< none for a test without embeddings
  std::vector<std::int64_t> thumb_of_picture;  ///< place on the contact sheet of each row of Embeddings::image, or -1

  std::int64_t thumb(std::int64_t picture) const { return thumb_of_picture[static_cast<std::size_t>(picture)]; }
  const std::string& caption(std::int64_t row) const {
    return test->embeddings.captions[static_cast<std::size_t>(row)];
  }
};

}  // namespace vlalign
