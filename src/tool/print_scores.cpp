#include "tool/print_scores.hpp"

#include <fmt/format.h>

namespace vlalign::tool {
namespace {

void print_row(std::string_view name, const RecallScores& s) {
  fmt::print("  {:<15} {:>11.1f}% {:>11.1f}% {:>11.1f}% {:>11.1f}% {:>12.1f}\n", name, 100 * s.recall_at_1,
             100 * s.recall_at_5, 100 * s.recall_at_10, 100 * s.map_at_10, s.median_rank);
}

void print_row(const RecallIntervals& intervals) {
  const auto text = [](const Interval& i) { return fmt::format("{:.1f}-{:.1f}%", 100 * i.low, 100 * i.high); };
  fmt::print("  {:<15} {:>12} {:>12} {:>12} {:>12}\n", "  95% interval", text(intervals.recall_at_1),
             text(intervals.recall_at_5), text(intervals.recall_at_10), text(intervals.map_at_10));
}

void print_row(std::string_view candidates, const Hubness& hubness) {
  fmt::print("  hubness of {}: skewness {:.2f}, {:.1f}% never among the 10 nearest, the biggest hub {} times\n",
             candidates, hubness.skewness, 100 * hubness.antihubs, hubness.largest);
}

}  // namespace

void print_scores(std::string_view title, const RetrievalScores& scores) {
  fmt::print("{}: {} pictures, {} captions\n", title, scores.pairs, scores.captions);
  fmt::print("  {:<15} {:>12} {:>12} {:>12} {:>12} {:>12}\n", "", "recall@1", "recall@5", "recall@10", "mAP@10",
             "median rank");
  print_row("image to text", scores.image_to_text);
  print_row(scores.image_to_text_interval95);
  print_row("  by chance", scores.image_to_text_chance);
  print_row("text to image", scores.text_to_image);
  print_row(scores.text_to_image_interval95);
  print_row("  by chance", scores.text_to_image_chance);
  fmt::print("  alignment {:.3f}, uniformity {:.3f}, modality gap {:.3f}, linear CKA {:.3f}\n", scores.alignment,
             scores.uniformity, scores.modality_gap, scores.linear_cka);
  print_row("captions", scores.image_to_text_hubness);
  print_row("pictures", scores.text_to_image_hubness);
  fmt::print("  effective rank: pictures {:.1f}, captions {:.1f}", scores.image_effective_rank,
             scores.text_effective_rank);
  if (scores.temperature) fmt::print("; temperature {:.4g}", *scores.temperature);
  fmt::print("\n");
}

}  // namespace vlalign::tool
