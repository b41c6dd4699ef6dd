// SPDX-License-Identifier: Apache-2.0
// What evidence costs: one token audited, one detector updated, one item through the lattice, a million
// nodes.
#include <benchmark/benchmark.h>

#include <vector>

#include "evidence/attribution.h"
#include "evidence/bounded_rate.h"
#include "evidence/calibration.h"
#include "evidence/simulated_fleet.h"
#include "evidence/synthetic_rows.h"

namespace {

using namespace truekeel;
using namespace truekeel::evidence;

constexpr std::uint32_t kVocabulary = 49'152;

void audit_token(benchmark::State& state, const Sampling& sampling, bool full) {
  PhiloxStream random(1);
  const ShippedDialect dialect = *shipped("truekeel");
  const TokenAudit audit;
  std::vector<SyntheticRow> rows;
  std::vector<TokenRecord> records;
  for (int i = 0; i < 64; ++i) rows.push_back(synthetic_row(random, kVocabulary));
  for (int i = 0; i < 1024; ++i) {
    const SyntheticRow& row = rows[static_cast<std::size_t>(i) % rows.size()];
    records.push_back(row.record(DrawLaw(row, sampling, dialect.conduct).draw(random), 20, full));
  }
  std::vector<float> sums(audit.bets().cells());
  std::size_t i = 0;
  for (auto _ : state) {
    audit.add(records[i++ % records.size()], sampling, dialect.conduct, dialect.audit(), sums);
    benchmark::DoNotOptimize(sums.data());
  }
}
BENCHMARK_CAPTURE(audit_token, plain_top20, Sampling{.vocabulary = kVocabulary}, false);
BENCHMARK_CAPTURE(audit_token, plain_full, Sampling{.vocabulary = kVocabulary}, true);
BENCHMARK_CAPTURE(audit_token, chat,
                  (Sampling{.temperature = 0.7, .top_k = 40, .top_p = 0.9, .vocabulary = kVocabulary}),
                  false);
BENCHMARK_CAPTURE(audit_token, greedy, (Sampling{.temperature = 0, .vocabulary = kVocabulary}), false);

void update_detector(benchmark::State& state) {
  const TokenAudit audit;
  Detector detector(audit.bets().log_weights());
  std::vector<float> sums(audit.bets().cells());
  audit.add_lost(25, sums);
  Tick tick = 0;
  for (auto _ : state) benchmark::DoNotOptimize(detector.update(sums, -23, ++tick));
}
BENCHMARK(update_detector);

/// One item of a fleet of `endpoints` through its 232 nodes, flush included; 15 items a window.
void lattice_item(benchmark::State& state) {
  PhiloxStream random(2);
  const SimulatedFleet fleet(static_cast<std::uint32_t>(state.range(0)), random);
  const TokenAudit audit;
  Lattice lattice(audit.bets().log_weights());
  std::vector<float> sums(audit.bets().cells());
  audit.add_lost(200, sums);
  Tick tick = 0;
  for (auto _ : state) {
    for (int i = 0; i < 15; ++i)
      lattice.add(fleet.request(random).where, {.log_factors = sums, .tokens = 200});
    benchmark::DoNotOptimize(lattice.flush(++tick, -23));
  }
  state.SetItemsProcessed(state.iterations() * 15);
  state.counters["nodes"] = static_cast<double>(lattice.nodes());
}
BENCHMARK(lattice_item)->Arg(4)->Arg(100)->Arg(1000)->Arg(10'000);

/// Fills a lattice of the widest signal to a million nodes; the figure that counts is `MiB`.
void million_nodes(benchmark::State& state) {
  const TokenAudit audit;
  for (auto _ : state) {
    Lattice lattice(audit.bets().log_weights(), {.nodes_max = 1'000'000});
    const std::vector<float> sums(audit.bets().cells());
    Coordinates where;
    where.value.fill(1);
    for (Tick tick = 1; lattice.nodes() < 937'000; ++tick) {
      where[Attribute::endpoint] = 1 + tick % 60'000;
      where[Attribute::client_version] = 1 + tick / 60'000;
      lattice.add(where, {.log_factors = sums, .tokens = 1});
      benchmark::DoNotOptimize(lattice.flush(tick, -23));
    }
    state.counters["MiB"] = static_cast<double>(lattice.bytes()) / (1 << 20);
    state.counters["bytes_a_node"] =
        static_cast<double>(lattice.bytes()) / static_cast<double>(lattice.nodes());
  }
}
BENCHMARK(million_nodes)->Iterations(1)->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
