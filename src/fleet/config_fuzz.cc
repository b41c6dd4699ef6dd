// SPDX-License-Identifier: Apache-2.0
// Any text is either a list of problems within its bounds, or a configuration that holds its invariants
// and that a fleet can be built of and asked.
#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/assert.h"
#include "fleet/check_report.h"
#include "fleet/explain.h"
#include "fleet/fleet.h"

using namespace truekeel;
using namespace truekeel::fleet;

namespace {

void check_problems(const std::vector<ConfigProblem>& problems) {
  TK_ASSERT(!problems.empty() && problems.size() <= kMaxProblems);
  for (const auto& problem : problems) {
    TK_ASSERT(problem.line >= 1 && problem.column >= 1 && !problem.message.empty() && !problem.fix.empty());
  }
}

void check_config(const Config& config) {
  TK_ASSERT(!config.models.empty() && !config.pools.empty());
  TK_ASSERT(is_loopback(config.admin.host) || !config.admin_token_env.empty());
  for (const auto& model : config.models) {
    TK_ASSERT(!model.classes.empty() && config.find_model(model.name) == &model);
    std::uint32_t before = 0;
    for (const auto& item : model.classes) {
      TK_ASSERT(item.max_tokens > before && config.pools.at(item.pool_index).name == item.pool);
      before = item.max_tokens;
    }
    TK_ASSERT(model.default_max_output < before);
  }
  for (const auto& pool : config.pools) {
    TK_ASSERT(!pool.endpoints.empty());
    for (const auto& endpoint : pool.endpoints) {
      TK_ASSERT(endpoint.weight_milli > 0 && endpoint.url.port > 0 && !endpoint.url.host.empty());
    }
  }
}

void ask_fleet(const std::shared_ptr<const Config>& config) {
  const Instant now{};
  Fleet fleet(config, AffinitySecret("fuzz"), now);
  for (const auto id : fleet.endpoints()) {
    TK_ASSERT(fleet.find(fleet.endpoint(id).name) == id);
    fleet.on_probe(id, ProbeResult::token, now);
  }
  TK_ASSERT(fleet.complete(now));
  for (const auto& model : config->models) {
    const auto plan = plan_context(model, TokenRange::exactly(1), 1);
    const auto decision = fleet.route(plan, {7, AffinitySource::user}, now);
    TK_ASSERT(decision && !explain_json(*decision, decision->order.front(), "").empty());
  }
  TK_ASSERT(!fleet_json(fleet, now).empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  auto parsed = parse_config({reinterpret_cast<const char*>(data), size});
  TK_ASSERT(!check_text("f", parsed).empty() && !check_json("f", parsed).empty());
  if (parsed) {
    check_config(*parsed);
    ask_fleet(std::make_shared<const Config>(std::move(*parsed)));
  } else {
    check_problems(parsed.error());
  }
  return 0;
}
