#include "tool/print_scores.hpp"

#include <fmt/format.h>

#include <cmath>

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

void print_scores(std::string_view title, const ZeroShotScores& scores, std::int64_t classes) {
  const auto& [low, high] = scores.top1_interval95;
  const auto count = static_cast<double>(classes);
  fmt::print("{}: {} pictures, {} classes\n", title, scores.images, classes);
  fmt::print(
      "  top-1 {:.1f}% (95% interval {:.1f}-{:.1f}%)   top-5 {:.1f}%   mean per class {:.1f}%   (chance {:.1f}%)\n",
      100 * scores.top1, 100 * low, 100 * high, 100 * scores.top5, 100 * scores.mean_per_class, 100.0 / count);
  fmt::print("  calibration error {:.3f}, negative log-likelihood {:.3f} nats (chance {:.3f})\n",
             scores.calibration_error, scores.negative_log_likelihood, std::log(count));
}

}  // namespace vlalign::tool
