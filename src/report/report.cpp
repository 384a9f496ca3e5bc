#include "vlalign/report/report.hpp"

#include <optional>

#include "core/check.hpp"
#include "core/io/files.hpp"
#include "core/io/place.hpp"
#include "report/contact_sheet.hpp"
#include "report/html_page.hpp"
#include "report/progress_section.hpp"
#include "report/report_data.hpp"
#include "report/report_page.hpp"
#include "report/report_sections.hpp"
#include "report/report_view.hpp"
#include "vlalign/image/transform.hpp"

namespace vlalign {
namespace {

constexpr std::int64_t picture_budget = 300;    // thumbnails in one report
constexpr std::size_t sheet_bytes = 2'100'000;  // of their PNG; base64 makes it a third larger

std::string misfit_of(const std::filesystem::path& file) {
  return read_file(file).find(page_mark) == std::string::npos ? "something else made it" : "";
}

void check_test(const ReportTest& test) {
  const auto& e = test.embeddings;
  check(test.source != nullptr, "[report] test \"{}\": embeddings without a source of their pictures", test.name);
  for (const auto record : e.records)
    check(record >= 0 && record < test.source->size(), "[report] test \"{}\": record {} is not one of the source's {}",
          test.name, record, test.source->size());
  check(std::ssize(e.records) == e.image.size(0) && e.text.defined() && std::ssize(e.captions) == e.text.size(0),
        "[report] test \"{}\": expected {} records and {} captions as embeddings, got {} and {}", test.name,
        e.image.size(0), e.text.defined() ? e.text.size(0) : 0, e.records.size(), e.captions.size());
}

/// Works out each test's figures and reads the pictures they show, which are appended to `pictures`.
std::vector<ReportView> view_tests(std::span<const ReportTest> tests, std::vector<Image>& pictures) {
  std::vector<ReportView> views;
  for (const auto& test : tests) {
    ReportView view{.test = &test, .figures = {}, .thumb_of_picture = {}};
    if (test.embeddings.image.defined()) {
      check_test(test);
      view.figures = make_figures(test.embeddings, picture_budget / std::ssize(tests));
      view.thumb_of_picture.assign(test.embeddings.records.size(), -1);
      for (const auto row : view.figures->pictures) {
        const auto record = test.source->read(test.embeddings.records[static_cast<std::size_t>(row)]);
        view.thumb_of_picture[static_cast<std::size_t>(row)] = std::ssize(pictures);
        pictures.push_back(preprocess(decode_image(record.image, record.name, 64), Preprocess{.image_size = 64}));
      }
    }
    views.push_back(std::move(view));
  }
  return views;
}

std::string sheet_style(const ContactSheet& sheet) {
  return fmt::format(R"(<style id="sheet-style">.thumb{{background-image:url({});background-size:{}% {}%}}</style>)",
                     data_uri("image/png", sheet.png), 100 * sheet.columns, 100 * sheet.rows);
}

}  // namespace

std::string report_html(const ReportInput& input) {
  std::vector<Image> pictures;
  const auto views = view_tests(input.tests, pictures);
  const auto sheet = pictures.empty() ? ContactSheet{} : make_contact_sheet(pictures, sheet_bytes);
  const auto validation = validation_charts(input.validations);
  const auto training = training_charts(input.metrics);
  std::vector<Chart> charts = validation.first;
  charts.insert(charts.end(), validation.others.begin(), validation.others.end());
  charts.insert(charts.end(), training.begin(), training.end());
  std::string body = progress_section(input) + headline_section(input.tests);
  if (input.tests.empty()) body += latest_validations_section(input);
  for (std::size_t i = 0; i < views.size(); ++i) body += closer_look_section(views[i], sheet, i);
  body += curves_section(validation, training) + figures_section(input.tests) + facts_section(input.facts);
  return html_page({.title = input.title,
                    .subtitle = input.subtitle,
                    .style = pictures.empty() ? "" : sheet_style(sheet),
                    .body = body,
                    .data = report_data_json(sheet, charts, views),
                    .script = report_script});
}

void check_report_place(const std::filesystem::path& file) { check_file_place(file, {"a report", misfit_of}); }

void write_report(const ReportInput& input, const std::filesystem::path& file) {
  check_report_place(file);
  write_file_atomically(file, report_html(input));
}

}  // namespace vlalign
