#include "print_scores.hpp"

#include <fmt/format.h>

namespace vlalign::tool {
namespace {

void print_row(std::string_view name, const RecallScores& s) {
  fmt::print("  {:<15} {:>8.1f}% {:>8.1f}% {:>8.1f}% {:>12.1f}\n", name, 100 * s.recall_at_1, 100 * s.recall_at_5,
             100 * s.recall_at_10, s.median_rank);
}

}  // namespace

void print_scores(std::string_view title, const RetrievalScores& scores) {
  fmt::print("{}: {} pictures, {} captions\n", title, scores.pairs, scores.captions);
  fmt::print("  {:<15} {:>9} {:>9} {:>9} {:>12}\n", "", "recall@1", "recall@5", "recall@10", "median rank");
  print_row("image to text", scores.image_to_text);
  print_row("  by chance", scores.image_to_text_chance);
  print_row("text to image", scores.text_to_image);
  print_row("  by chance", scores.text_to_image_chance);
  fmt::print("  alignment {:.3f}, uniformity {:.3f}, modality gap {:.3f}\n", scores.alignment, scores.uniformity,
             scores.modality_gap);
}

}  // namespace vlalign::tool
