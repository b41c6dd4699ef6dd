// SPDX-License-Identifier: Apache-2.0
// What a request pays for its routing: under the gateway's lock (route), and outside it (the rest).
#include <benchmark/benchmark.h>

#include <string>

#include "fleet/fleet.h"
#include "fleet/test_config.h"

namespace truekeel::fleet {
namespace {

void BM_Route(benchmark::State& state) {
  auto config = std::make_shared<Config>(test_config({}, {"l1"}));
  for (std::int64_t i = 0; i < state.range(0); ++i) {
    EndpointConfig endpoint;
    endpoint.name = "s" + std::to_string(i);
    config->pools[0].endpoints.push_back(endpoint);
  }
  const Instant now{};
  Fleet fleet(config, AffinitySecret("bench"), now);
  for (const auto id : fleet.endpoints()) fleet.on_probe(id, ProbeResult::token, now);
  const auto plan = plan_context(config->models[0], {10, 500}, std::nullopt);
  std::uint64_t key = 0;
  while (state.KeepRunning()) {
    benchmark::DoNotOptimize(fleet.route(plan, {++key, AffinitySource::prefix}, now));
  }
}
BENCHMARK(BM_Route)->Arg(2)->Arg(8)->Arg(64);

void BM_BoundsAndKey(benchmark::State& state) {
  const std::string prompt(static_cast<std::size_t>(state.range(0)), 'x');
  const AffinitySecret secret("bench");
  const auto model = test_config().models[0];
  while (state.KeepRunning()) {
    const PromptShape shape{.text_bytes = prompt.size(), .kept_bytes = prompt.size(), .messages = 1};
    const auto range = bound_tokens(shape, {true, 16, 5, 20});
    benchmark::DoNotOptimize(plan_context(model, range, std::nullopt));
    const std::string_view prefix[] = {"m", "", prompt};
    AffinityInputs inputs;
    inputs.stable_prefix = prefix;
    benchmark::DoNotOptimize(affinity_key(inputs, secret));
  }
}
BENCHMARK(BM_BoundsAndKey)->Arg(600)->Arg(100 << 10);

}  // namespace
}  // namespace truekeel::fleet

BENCHMARK_MAIN();
