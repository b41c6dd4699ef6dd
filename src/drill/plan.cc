// SPDX-License-Identifier: Apache-2.0
#include "drill/plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/assert.h"
#include "base/philox.h"

namespace truekeel::drill {
namespace {

constexpr std::array<Kind, 2> kKinds = {{
    {"corruption", "some servers emit tokens that the model finds next to impossible"},
    {"topk", "some servers lose the most probable token now and then"},
}};

constexpr Duration kQuietLeast = std::chrono::seconds(4), kQuietMore = std::chrono::seconds(8);

/// Slices that an operator could name; each leaves healthy servers to compare with and to drain to.
std::vector<incident::Traffic> slices() {
  std::vector<incident::Traffic> all = {
      {{"hardware", "a"}}, {{"hardware", "b"}}, {{"version", "v1"}}, {{"version", "v2"}}};
  for (const auto& server : kServers) all.push_back({{"endpoint", std::string(server.name)}});
  return all;
}

}  // namespace

std::span<const Kind> kinds() { return kKinds; }

bool is_kind(std::string_view name) { return std::ranges::find(kKinds, name, &Kind::name) != kKinds.end(); }

Facts fleet_facts(std::string_view fingerprint) {
  Facts facts;
  for (const auto& [name, hardware, version] : kServers) {
    facts.push_back({.name = std::string(name),
                     .values = {{"endpoint", {std::string(name)}},
                                {"hardware", {std::string(hardware)}},
                                {"version", {std::string(version)}},
                                {"fingerprint", {std::string(fingerprint)}},
                                {"pool", {std::string(kPool)}},
                                {"class", {std::string(kClass)}}}});
  }
  return facts;
}

Plan make_plan(std::string_view kind, std::uint64_t seed, double rate) {
  TK_ASSERT(is_kind(kind) && rate > 0 && rate <= 1);
  constexpr std::array<std::string_view, 3> kIds = {"uniform", "proportional", "script"};
  PhiloxStream random(seed);
  Plan plan;
  const auto choices = slices();
  plan.slice = choices[random.below(choices.size())];
  const auto ids = kIds[random.below(kIds.size())];
  plan.fault = kind == "topk" ? fmt::format("top1:{}", rate) : fmt::format("tail:{},ids={}", rate, ids);
  plan.servers = incident::endpoints_of(plan.slice, fleet_facts({}));
  plan.quiet = kQuietLeast + std::chrono::duration_cast<Duration>(kQuietMore * random.uniform());
  return plan;
}

bool same_traffic(const incident::Traffic& accused, const incident::Traffic& slice, const Facts& fleet) {
  return incident::covers(accused, slice, fleet) && incident::covers(slice, accused, fleet);
}

}  // namespace truekeel::drill
