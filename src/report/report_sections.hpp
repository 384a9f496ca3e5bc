// The report's parts as HTML. Internal.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "report/chart.hpp"
#include "report/contact_sheet.hpp"
#include "report/report_view.hpp"

namespace vlalign {

/// A card a test with its recall@1 beside chance, and a sentence on what that means.
std::string headline_section(std::span<const ReportTest> tests);

/// Retrieved captions and pictures, and the places where the script draws the similarity matrix and the map.
std::string closer_look_section(const ReportView& view, const ContactSheet& sheet, std::size_t index);

/// The places where the script draws the charts of #data: what is validated, and the training itself.
std::string curves_section(const ValidationCharts& validation, std::span<const Chart> training);

/// A table a test with every figure, both ways, beside chance.
std::string figures_section(std::span<const ReportTest> tests);

std::string facts_section(std::span<const ReportFact> facts);

}  // namespace vlalign
