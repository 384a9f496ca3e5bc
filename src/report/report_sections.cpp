#include "report/report_sections.hpp"

#include <algorithm>
#include <array>

#include "core/check.hpp"
#include "report/html_text.hpp"
#include "report/shown_numbers.hpp"

namespace vlalign {
namespace {

std::string number(double value) { return fmt::format("{:.10g}", value); }

/// A paragraph of a class, nothing for an empty text.
std::string paragraph(std::string_view css_class, std::string_view text) {
  return text.empty() ? "" : fmt::format(R"(<p class="{}">{}</p>)", css_class, escape_html(text));
}

std::string own_caption(const ReportView& view, std::int64_t picture) {
  const auto& owners = view.test->embeddings.image_of_text;
  return shorten(view.caption(std::find(owners.begin(), owners.end(), picture) - owners.begin()));
}

std::string headline_figure(std::string_view name, double value, double by_chance) {
  return fmt::format(R"(<div><dt>{}</dt><dd><strong>{}</strong> <span class="chance">chance {}</span></dd></div>)",
                     name, datum(value, percent(value)), percent(by_chance));
}

std::string headline_card(const ReportTest& test) {
  const auto& scores = test.scores.image_to_text;
  const auto& chance = test.scores.image_to_text_chance;
  return fmt::format(
      R"(
<article class="card">
  <h2>{}</h2>
  <div class="big">{}</div>
  <p class="what">recall@1, from picture to caption, among {}</p>
  <div class="bar" aria-hidden="true"><i style="width:{:.2f}%"></i><b style="left:{:.2f}%"></b></div>
  <span class="chance">chance {}</span>
  <dl class="more">{}{}</dl>
  {}
</article>)",
      escape_html(test.name), datum(scores.recall_at_1, percent(scores.recall_at_1)),
      plural(test.scores.captions, "caption", "captions"), 100.0 * scores.recall_at_1, 100.0 * chance.recall_at_1,
      percent(chance.recall_at_1), headline_figure("recall@5", scores.recall_at_5, chance.recall_at_5),
      headline_figure("recall@10", scores.recall_at_10, chance.recall_at_10), paragraph("note", test.note));
}

std::string figures_row(std::string_view name, const std::array<double, 2>& values,
                        const std::array<double, 2>& chances, std::string (*text)(double)) {
  std::string cells;
  for (std::size_t i = 0; i < 2; ++i) {
    cells += fmt::format(R"(<td>{} <span class="chance">chance {}</span></td>)", datum(values[i], text(values[i])),
                         text(chances[i]));
  }
  return fmt::format(R"(<tr><th scope="row">{}</th>{}</tr>)", name, cells);
}

std::string figures_table(const ReportTest& test) {
  const auto& s = test.scores;
  const auto row = [&](std::string_view name, double RecallScores::*field, std::string (*text)(double)) {
    return figures_row(name, {s.image_to_text.*field, s.text_to_image.*field},
                       {s.image_to_text_chance.*field, s.text_to_image_chance.*field}, text);
  };
  const auto plain = [](std::string_view name, double value) {
    return fmt::format(R"(<tr><th scope="row">{}</th><td colspan="2">{}</td></tr>)", name,
                       datum(value, fmt::format("{:.3f}", value)));
  };
  const auto left_out = s.skipped == 0 ? std::string() : fmt::format("; left out, unreadable: {}", s.skipped);
  return fmt::format(
      R"(
<div class="card">
  <h3>{}</h3>
  <p class="note">{}, {}{}</p>
  <table>
    <thead><tr><th scope="col">Figure</th><th scope="col">picture → caption</th><th scope="col">caption → picture</th></tr></thead>
    <tbody>{}{}{}{}{}{}{}{}{}</tbody>
  </table>
</div>)",
      escape_html(test.name), plural(s.pairs, "picture", "pictures"), plural(s.captions, "caption", "captions"),
      left_out, row("Recall@1", &RecallScores::recall_at_1, percent),
      row("Recall@5", &RecallScores::recall_at_5, percent), row("Recall@10", &RecallScores::recall_at_10, percent),
      row("mAP@10", &RecallScores::map_at_10, percent), row("Median rank", &RecallScores::median_rank, number),
      plain("Alignment", s.alignment), plain("Uniformity", s.uniformity), plain("Modality gap", s.modality_gap),
      plain("Linear CKA", s.linear_cka));
}

std::string thumb(const ReportView& view, const ContactSheet& sheet, std::int64_t picture,
                  std::string_view more_classes = "") {
  const auto place = view.thumb(picture);
  const auto position = [](std::int64_t i, int count) {
    return count > 1 ? 100.0 * static_cast<double>(i) / static_cast<double>(count - 1) : 0.0;
  };
  return fmt::format(
      R"(<span class="thumb{0}" role="img" aria-label="picture: {1}" title="{1}" style="background-position:{2:.4f}% {3:.4f}%"></span>)",
      more_classes, escape_html(own_caption(view, picture)), position(place % sheet.columns, sheet.columns),
      position(place / sheet.columns, sheet.rows));
}

std::string rank_note(std::string_view what, const RetrievalExample& example, std::size_t candidates) {
  return fmt::format(R"(<span class="rank">The right {} comes {} of {}.</span>)", what,
                     example.rank == 1 ? "first" : fmt::format("at place {}", example.rank), candidates);
}

std::string picture_example(const ReportView& view, const ContactSheet& sheet, const RetrievalExample& example) {
  std::string items;
  for (const auto& item : example.best) {
    items += fmt::format(R"(<li{}><bdi>{}{}</bdi><span class="cosine">{:.2f}</span></li>)",
                         item.right ? R"( class="right")" : "", item.right ? "✓ " : "",
                         escape_html(shorten(view.caption(item.row))), item.cosine);
  }
  return fmt::format(R"(<article class="card example">{}<div><ol>{}</ol>{}</div></article>)",
                     thumb(view, sheet, example.query), items,
                     rank_note("caption", example, view.test->embeddings.captions.size()));
}

std::string caption_example(const ReportView& view, const ContactSheet& sheet, const RetrievalExample& example) {
  std::string strip;
  for (const auto& item : example.best) strip += thumb(view, sheet, item.row, item.right ? " right" : "");
  return fmt::format(
      R"(<article class="card"><p class="query">“<bdi>{}</bdi>”{}</p><div class="strip">{}</div></article>)",
      escape_html(shorten(view.caption(example.query))),
      rank_note("picture", example, view.test->embeddings.names.size()), strip);
}

std::string matrix_figure(const ReportView& view, std::size_t index) {
  const auto n = std::ssize(view.figures->matrix.pictures);
  return fmt::format(R"(
<h3>Every picture against every caption</h3>
<div class="card matrix">
  <canvas id="matrix-{0}" tabindex="0" role="img" aria-label="Heat map of the cosines of {1} pictures with their {1} captions;
    the arrow keys move through it"></canvas>
  <div>
    <p class="note">{2} evenly spaced through the test, like ones side by side. A row is a picture, a column a caption, in
      the same order: a bright diagonal on a dark ground is what training aims at, bright blocks beside it are pairs that
      the model finds hard to tell apart.</p>
    <div class="readout" id="readout-{0}" aria-live="polite"></div>
    <div class="scale" id="scale-{0}"><b></b><span></span><b></b></div>
    <p class="note">Point at a cell, or tap it.</p>
  </div>
</div>)",
                     index, n, plural(n, "pair", "pairs"));
}

std::string map_figure(const ReportView& view, std::size_t index) {
  const auto& map = view.figures->map;
  return fmt::format(R"(
<h3>A map of the joint space</h3>
<p class="note">{0} of the test on the two directions in which they differ most (PCA, {1:.0f}% of the variance). A dot is a
  caption, a line joins it to its picture: short lines are good. Pictures and captions are each centred first, which takes
  away the gap of {2:.2f} between them.</p>
<div class="card map">
  <canvas id="map-{3}" role="img" aria-label="Map with {4} thumbnails and the captions they belong to"></canvas>
  <div class="buttons">
    <button type="button" aria-label="Zoom in">+</button><button type="button" aria-label="Zoom out">−</button>
    <button type="button" aria-label="Show the whole map">⤢</button>
  </div>
  <p class="label" id="map-label-{3}" aria-live="polite">Point at a picture or a dot for its caption; drag when zoomed in.</p>
</div>)",
                     plural(std::ssize(map.pictures), "pair", "pairs"), 100.0 * map.explained,
                     view.test->scores.modality_gap, index, map.pictures.size());
}

}  // namespace

std::string headline_section(std::span<const ReportTest> tests) {
  if (tests.empty()) return "";
  std::string cards;
  for (const auto& test : tests) cards += headline_card(test);
  return fmt::format(R"(
<div class="headline">{}</div>
<div class="card explain">
  <p><strong>What the number means.</strong> The model is shown one picture of the test and sorts all of the test’s captions
    by how well they fit. <strong>Recall@1</strong> is how often the right caption comes first, recall@5 how often it is
    among the first five. <span class="chance">Chance</span> is what blind guessing would reach.</p>
</div>)",
                     cards);
}

std::string closer_look_section(const ReportView& view, const ContactSheet& sheet, std::size_t index) {
  if (!view.figures) return "";
  std::string pictures, captions;
  for (const auto& example : view.figures->captions_of_pictures) pictures += picture_example(view, sheet, example);
  for (const auto& example : view.figures->pictures_of_captions) captions += caption_example(view, sheet, example);
  return fmt::format(R"(
<section>
  <h2>{}: a closer look</h2>
  <p class="lead">Examples are evenly spaced through the test, not picked.</p>
  <h3>A picture, and the captions that fit it best</h3>
  <p class="note">Numbers are cosines, 1 is a perfect fit; the right caption is green.</p>
  <div class="pictures">{}</div>
  <h3>A caption, and the pictures that fit it best</h3>
  <p class="note">Best first; the right picture is ringed.</p>
  <div class="captions">{}</div>
  {}{}
</section>)",
                     escape_html(view.test->name), pictures, captions, matrix_figure(view, index),
                     map_figure(view, index));
}

std::string curves_section(const ValidationCharts& validation, std::span<const Chart> training) {
  std::string sections;
  std::size_t first = 0;
  const auto figures = [&](std::span<const Chart> charts) {
    const auto html = fmt::format(R"(<div class="curves">{}</div>)", chart_figures(charts, first));
    first += charts.size();
    return html;
  };
  if (!validation.first.empty() || !validation.others.empty()) {
    sections += R"(
<section>
  <h2>Validation while training</h2>
  <p class="note">On pairs that are not trained on, over optimizer steps; the numbers are the last. Losses are over a whole
    set at once, so that they compare with each other over time and not with the loss of a batch.</p>)";
    sections += figures(validation.first);
    if (!validation.others.empty())
      sections +=
          fmt::format("<details><summary>{}</summary>{}</details>",
                      plural(std::ssize(validation.others), "more figure", "more figures"), figures(validation.others));
    sections += "</section>";
  }
  if (training.empty()) return sections;
  return sections + fmt::format(R"(
<section>
  <h2>Training</h2>
  <p class="note">Over optimizer steps. The line is the mean of neighbouring steps, the band their lowest and highest; the
    number is the last.</p>
  {}
</section>)",
                                figures(training));
}

std::string figures_section(std::span<const ReportTest> tests) {
  if (tests.empty()) return "";
  std::string tables;
  for (const auto& test : tests) tables += figures_table(test);
  return fmt::format(R"(
<section>
  <h2>All figures</h2>
  <div class="tables">{}</div>
  <p class="note">Median rank: the place of the right answer, 1 is best. Alignment: mean squared distance of a picture and
    its caption, 0 is best. Uniformity: how evenly the embeddings cover the sphere, lower is more even, 0 means collapsed.
    Modality gap: distance between the centre of the pictures and the centre of the captions. A tie counts as a miss.</p>
</section>)",
                     tables);
}

std::string facts_section(std::span<const ReportFact> facts) {
  if (facts.empty()) return "";
  std::string rows;
  for (const auto& fact : facts) {
    rows += fmt::format("<div><dt>{}</dt><dd>{}</dd></div>", escape_html(fact.name), escape_html(fact.value));
  }
  return fmt::format(R"(
<section>
  <h2>This run</h2>
  <div class="card"><dl class="facts">{}</dl></div>
</section>)",
                     rows);
}

}  // namespace vlalign
