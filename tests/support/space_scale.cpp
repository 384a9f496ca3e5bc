// Runs one measure of the space on many embeddings and prints seconds and peak memory; tests/tools/space_scale.sh runs
// them all.
//   vlalign_space_scale MEASURE ROWS WIDTH QUERIES [bf16]
// Measures over pairs of towers hold two sets of ROWS x WIDTH numbers, the others one. Those whose time grows with the
// square of the rows take QUERIES rows on the one side: QUERIES pictures against ROWS captions, or the first QUERIES
// rows for uniformity.
#include <ATen/ops/empty.h>
#include <ATen/ops/randn.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <functional>
#include <iostream>
#include <map>
#include <string>

#include "vlalign/core/normalize.hpp"
#include "vlalign/eval/hubness.hpp"
#include "vlalign/eval/retrieval.hpp"
#include "vlalign/eval/space.hpp"
#include "vlalign/eval/zero_shot.hpp"

namespace {

struct Size {
  std::int64_t rows, width, queries;
  at::ScalarType dtype;
};

at::Tensor unit_rows(std::int64_t n, const Size& size) {
  auto rows = at::empty({n, size.width}, size.dtype);
  for (std::int64_t start = 0; start < n; start += 8192) {
    auto block = rows.slice(0, start, std::min(n, start + 8192));
    block.copy_(vlalign::l2_normalize(at::randn(block.sizes(), at::kFloat)));
  }
  return rows;
}

/// QUERIES pictures with ROWS / QUERIES captions each.
vlalign::Embeddings pairs(const Size& size) {
  vlalign::Embeddings e;
  e.image = unit_rows(size.queries, size);
  e.text = unit_rows(size.rows, size);
  for (std::int64_t i = 0; i < size.rows; ++i) e.image_of_text.push_back(i % size.queries);
  return e;
}

/// Makes the input of each measure, and gives the measure to time.
const std::map<std::string, std::function<std::function<void()>(const Size&)>> measures = {
    {"nothing", [](const Size& s) { return [x = unit_rows(s.rows, s)] {}; }},
    {"alignment",
     [](const Size& s) { return [x = unit_rows(s.rows, s), y = unit_rows(s.rows, s)] { vlalign::alignment(x, y); }; }},
    {"modality_gap",
     [](const Size& s) {
       return [x = unit_rows(s.rows, s), y = unit_rows(s.rows, s)] { vlalign::modality_gap(x, y); };
     }},
    {"linear_cka",
     [](const Size& s) { return [x = unit_rows(s.rows, s), y = unit_rows(s.rows, s)] { vlalign::linear_cka(x, y); }; }},
    {"effective_rank", [](const Size& s) { return [x = unit_rows(s.rows, s)] { vlalign::effective_rank(x); }; }},
    {"zero_shot",
     [](const Size& s) {
       return [x = unit_rows(s.rows, s), classes = unit_rows(1000, s),
               labels = std::vector<std::int64_t>(static_cast<std::size_t>(s.rows), 1)] {
         vlalign::score_classes(x, classes, labels, 100.0);
       };
     }},
    {"uniformity",
     [](const Size& s) { return [x = unit_rows(s.rows, s), s] { vlalign::uniformity(x.slice(0, 0, s.queries)); }; }},
    {"hubness",
     [](const Size& s) {
       return
           [x = unit_rows(s.queries, s), y = unit_rows(s.rows, s)] { vlalign::hubness(vlalign::k_occurrences(x, y)); };
     }},
    {"retrieval_ranks", [](const Size& s) { return [e = pairs(s)] { vlalign::retrieval_ranks(e); }; }},
    {"bootstrap_interval",
     [](const Size& s) {
       std::vector<double> precisions;
       for (std::int64_t i = 0; i < s.rows; ++i) precisions.push_back(1.0 / static_cast<double>(1 + i % 11));
       return [precisions] { vlalign::bootstrap_interval(precisions); };
     }},
};

double peak_gigabytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) * 1024 / 1e9;  // Linux counts KiB
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5 || !measures.contains(argv[1]))
    return std::cerr << "usage: see the head of tests/support/space_scale.cpp\n", 2;
  const bool half = argc > 5 && std::string(argv[5]) == "bf16";
  const Size size{std::stoll(argv[2]), std::stoll(argv[3]), std::stoll(argv[4]), half ? at::kBFloat16 : at::kFloat};
  const auto measure = measures.at(argv[1])(size);
  const double before = peak_gigabytes();
  const auto start = std::chrono::steady_clock::now();
  measure();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  std::printf("%-20s %-5s %8.1f s   peak %.2f GB, %.2f with the embeddings alone\n", argv[1], half ? "bf16" : "fp32",
              seconds.count(), peak_gigabytes(), before);
}
