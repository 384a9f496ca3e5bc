#include <ATen/ops/randn.h>
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "eval/nearest_rows.hpp"
#include "tool/bench.hpp"
#include "tool/commands.hpp"
#include "tool/output.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/core/normalize.hpp"

namespace vlalign::tool {
namespace {

struct SearchBenchFlags : CpuFlags {
  std::int64_t n = 1'000'000, dim = 512, k = 5, queries = 20;
};

/// Unit rows as encoders give them: around a common direction, and with a few columns much larger than the others.
at::Tensor random_embeddings(std::int64_t n, std::int64_t dim, const at::Tensor& common) {
  auto rows = at::randn({n, dim}).add_(common);
  for (std::int64_t first = 0; first < n; first += 65536) {
    auto block = rows.slice(0, first, std::min(n, first + 65536));
    block.div_(block.norm(2, {1}, /*keepdim=*/true));
  }
  return rows;
}

void run_search_bench(const SearchBenchFlags& flags) {
  flags.apply();
  auto common = at::randn({flags.dim});
  common.slice(0, 0, 2).mul_(10);
  const auto rows = random_embeddings(flags.n, flags.dim, common);
  const auto queries = random_embeddings(flags.queries, flags.dim, common).to(at::kDouble);
  const auto coded = coded_rows(rows);
  std::vector<double> quick, plain;
  bool same = true;
  for (std::int64_t i = 0; i < flags.queries; ++i) {
    const std::span query(queries.const_data_ptr<double>() + i * flags.dim, static_cast<std::size_t>(flags.dim));
    std::vector<NearRow> found, expected;
    quick.push_back(seconds_of([&] { found = nearest_rows(rows, coded, query, flags.k); }));
    plain.push_back(seconds_of([&] { expected = nearest_rows(rows, query, flags.k); }));
    same = same && found == expected;
  }
  if (!same) throw Error("[bench search] the quick search found other rows than the plain one");
  const auto ms = [](const std::vector<double>& seconds, double q) { return 1e3 * quantile(seconds, q); };
  if (flags.json) {
    print_json({{"n", flags.n},
                {"dim", flags.dim},
                {"k", flags.k},
                {"ms_p50", ms(quick, 0.5)},
                {"ms_p95", ms(quick, 0.95)},
                {"plain_ms_p50", ms(plain, 0.5)}});
  } else {
    fmt::print("{} of {} x {}: {:.1f} ms (median of {}; 95%: {:.1f}), {:.1f} ms without codes\n", flags.k, flags.n,
               flags.dim, ms(quick, 0.5), flags.queries, ms(quick, 0.95), ms(plain, 0.5));
  }
}

}  // namespace

void add_bench_search(CLI::App& bench) {
  auto* command = bench.add_subcommand("search", "The nearest of many random embeddings, one query after the other");
  const auto flags = std::make_shared<SearchBenchFlags>();
  command->add_option("--n", flags->n, "Embeddings")->check(CLI::Range(1, 100'000'000))->capture_default_str();
  command->add_option("--dim", flags->dim, "Their dimension")->check(CLI::Range(2, 100'000))->capture_default_str();
  command->add_option("--k", flags->k, "How many are looked for")->check(above_zero)->capture_default_str();
  command->add_option("--queries", flags->queries, "Queries")->check(CLI::Range(1, 1'000'000))->capture_default_str();
  flags->add(*command);
  command->callback([flags] { run_search_bench(*flags); });
}

}  // namespace vlalign::tool
