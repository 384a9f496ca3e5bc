#include "train/validation_events.hpp"

#include <string_view>

#include "core/check.hpp"
#include "core/utf8.hpp"
#include "image/picture_grid.hpp"
#include "train/evenly_spaced.hpp"
#include "train/retrieved_captions.hpp"

namespace vlalign {
namespace {

constexpr std::int64_t pictures_shown = 8;
constexpr int thumbnail_side = 64, thumbnail_gap = 2, pictures_in_row = 4;
constexpr std::size_t longest_shown = 160;  ///< bytes of a caption or a name

std::string shown_text(const std::string& text) {
  const auto readable = as_utf8(text);
  auto end = readable.size();
  if (end > longest_shown)
    for (end = longest_shown; (static_cast<unsigned char>(readable[end]) & 0xc0) == 0x80;) --end;
  return markdown_of(std::string_view(readable).substr(0, end)) + (end < readable.size() ? "…" : "");
}

std::string shown_hit(const RetrievedCaptions::Hit& hit) {
  const auto text = shown_text(hit.caption);
  return hit.right ? fmt::format("✓ **{}** {:.3f}", text, hit.cosine) : fmt::format("{} {:.3f}", text, hit.cosine);
}

std::vector<std::vector<std::string>> table_of(const Embeddings& embeddings, const std::vector<std::int64_t>& rows) {
  std::vector<std::vector<std::string>> table{
      {"**picture**", "**nearest caption, cosine**", "**second**", "**third**", "**its own, cosine, rank**"}};
  for (const auto& found : retrieved_captions(embeddings, rows)) {
    const auto& name = embeddings.names[static_cast<std::size_t>(found.row)];
    const auto last_part = name.substr(name.rfind('/') + 1);  // the whole where there is no other
    std::vector<std::string> line{fmt::format("{}: {}", table.size(), shown_text(last_part))};
    for (const auto& hit : found.best) line.push_back(shown_hit(hit));
    line.resize(table.front().size() - 1);  // where there are fewer captions
    line.push_back(fmt::format("{} {:.3f}, {}", shown_text(found.own.caption), found.own.cosine, found.rank));
    table.push_back(std::move(line));
  }
  return table;
}

}  // namespace

Image thumbnail(const PairSource& source, std::int64_t record, int side) {
  try {
    const auto pair = source.read(record);
    return decode_image(pair.image, pair.name, side);
  } catch (const Error&) {
    return {};
  }
}

void ValidationEvents::add_figures(const ValidationResult& result) {
  std::vector<std::pair<std::string, double>> scalars;
  for (const auto& [key, value] : result.figures) scalars.emplace_back(result.name + "/" + key, value);
  events_.scalars(result.step, scalars);
}

void ValidationEvents::add_retrieved(const std::string& name, std::int64_t step, const Embeddings& embeddings,
                                     const PairSource& source) {
  const auto [place, is_new] = shown_.try_emplace(name);
  auto& shown = place->second;
  if (!is_new && shown.step == step) return;
  shown.step = step;
  const auto rows = evenly_spaced(embeddings.image.size(0), pictures_shown);
  std::vector<std::int64_t> records;
  for (const auto row : rows) records.push_back(embeddings.records[static_cast<std::size_t>(row)]);
  if (shown.records != records) {
    std::vector<Image> pictures;
    for (const auto record : records) pictures.push_back(thumbnail(source, record, thumbnail_side));
    events_.picture(step, name + "/pictures", picture_grid(pictures, thumbnail_side, pictures_in_row, thumbnail_gap));
    shown.records = std::move(records);
  }
  events_.table(step, name + "/retrieved", table_of(embeddings, rows));
}

}  // namespace vlalign
