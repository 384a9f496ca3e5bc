#include "report/report_data.hpp"

#include <array>
#include <nlohmann/json.hpp>

#include "core/json/dump_json.hpp"
#include "report/html_text.hpp"

namespace vlalign {
namespace {

using Json = nlohmann::ordered_json;

Json thumbs(const ReportView& view, const std::vector<std::int64_t>& pictures) {
  Json json = Json::array();
  for (const auto picture : pictures) json.push_back(view.thumb(picture));
  return json;
}

Json matrix_json(const ReportView& view) {
  const auto& matrix = view.figures->matrix;
  Json json = {{"pictures", thumbs(view, matrix.pictures)}, {"captions", Json::array()}, {"cosines", Json::array()}};
  for (const auto row : matrix.captions) json["captions"].push_back(shorten(view.caption(row)));
  for (const auto cosine : matrix.cosines) json["cosines"].push_back(legible(cosine));
  return json;
}

Json map_json(const ReportView& view) {
  const auto& map = view.figures->map;
  Json json = Json::array();
  for (std::size_t i = 0; i < map.pictures.size(); ++i) {
    const auto point = [](const std::array<double, 2>& p) { return Json{legible(p[0]), legible(p[1])}; };
    json.push_back({{"thumb", view.thumb(map.pictures[i])},
                    {"text", shorten(view.caption(map.captions[i]))},
                    {"picture", point(map.picture_points[i])},
                    {"caption", point(map.caption_points[i])}});
  }
  return json;
}

}  // namespace

std::string report_data_json(const ContactSheet& sheet, std::span<const Chart> charts,
                             std::span<const ReportView> views) {
  Json json = {{"sheet", {{"side", sheet.side}, {"columns", sheet.columns}, {"rows", sheet.rows}}},
               {"charts", Json::array()},
               {"tests", Json::array()}};
  for (const auto& chart : charts) json["charts"].push_back(chart_json(chart));
  for (const auto& view : views) {
    json["tests"].push_back(view.figures ? Json{{"matrix", matrix_json(view)}, {"map", map_json(view)}}
                                         : Json::object());
  }
  return dump_readable(json);
}

}  // namespace vlalign
