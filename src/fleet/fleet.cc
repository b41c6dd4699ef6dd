// SPDX-License-Identifier: Apache-2.0
#include "fleet/fleet.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace truekeel::fleet {
namespace {

Refusal too_long(const ContextPlan& plan, const NothingFits& nothing) {
  const char* at_least = plan.prompt.exact() ? "" : "at least ";
  const char* advice = plan.output.added ? "the answer's limit is the default; set max_tokens to lower it"
                                         : "shorten the prompt or lower max_tokens";
  return {RefusalKind::context_length_exceeded, 400,
          fmt::format("the maximum context length of model '{}' is {} tokens, but this request needs {}{} "
                      "({}{} in the prompt, {} for the answer): {}",
                      plan.model->name, nothing.largest, at_least, nothing.needed, at_least,
                      plan.prompt.lower, plan.output.tokens, advice)};
}

Refusal nobody_ready(const ContextPlan& plan, std::uint32_t class_index) {
  return {RefusalKind::no_endpoint, 503,
          fmt::format("no server for model '{}' with a window of {} tokens or more is ready; try again later",
                      plan.model->name, plan.model->classes[class_index].max_tokens)};
}

}  // namespace

Refusal unknown_model(const Config& config, std::string_view name) {
  std::vector<std::string_view> served;
  served.reserve(config.models.size());
  for (const auto& model : config.models) served.push_back(model.name);
  return {RefusalKind::model_not_found, 404,
          fmt::format("the model '{}' is not served here; served are: {}", name, fmt::join(served, ", "))};
}

Fleet::Fleet(std::shared_ptr<const Config> config, const AffinitySecret& secret, Instant now)
    : config_(std::move(config)), secret_(secret), budget_(config_->retry, now) {
  for (const auto& pool : config_->pools) {
    const auto index = static_cast<std::uint32_t>(pools_.size());
    const auto first = static_cast<EndpointId>(members_.size());
    for (const auto& endpoint : pool.endpoints) {
      members_.push_back({.config = &endpoint,
                          .pool = index,
                          .id = member_id(endpoint.name, secret_),
                          .health = Health(config_->health)});
    }
    pools_.push_back({first, static_cast<EndpointId>(members_.size())});
  }
}

bool Fleet::serves(const Member& member, bool last_resort, Instant now) {
  if (member.drained) return false;
  const bool ready = member.health.ready(now);
  return last_resort ? !ready && member.health.alive() : ready;
}

bool Fleet::serves(const Pool& pool, Instant now) const {
  return std::any_of(members_.begin() + pool.first, members_.begin() + pool.last, [&](const Member& member) {
    return serves(member, false, now) || serves(member, true, now);
  });
}

void Fleet::append_candidates(const ContextPlan& plan, std::uint32_t first_class, const AffinityKey& key,
                              bool last_resort, Instant now, std::vector<Candidate>& order) const {
  const auto& classes = plan.model->classes;
  for (std::uint32_t index = first_class; index < classes.size(); ++index) {
    const auto same_pool = [&](const ContextClass& earlier) {
      return earlier.pool_index == classes[index].pool_index;
    };
    if (std::any_of(classes.begin() + first_class, classes.begin() + index, same_pool)) continue;

    const Pool& pool = pools_[classes[index].pool_index];
    std::vector<RendezvousMember> present;
    std::vector<EndpointId> ids;
    for (EndpointId id = pool.first; id < pool.last; ++id) {
      if (!serves(members_[id], last_resort, now)) continue;
      present.push_back({members_[id].id, members_[id].config->weight_milli});
      ids.push_back(id);
    }
    for (const auto place : rendezvous_order(present, key, pool.epoch, secret_)) {
      order.push_back({.endpoint = ids[place],
                       .config = members_[ids[place]].config,
                       .class_index = index,
                       .epoch = pool.epoch,
                       .overflow = index != first_class,
                       .last_resort = last_resort});
    }
  }
}

std::expected<Decision, Refusal> Fleet::route(const ContextPlan& plan, const AffinityKey& key,
                                              Instant now) const {
  TK_ASSERT(!std::holds_alternative<CountNeeded>(plan.outcome));
  if (const auto* nothing = std::get_if<NothingFits>(&plan.outcome)) {
    return std::unexpected(too_long(plan, *nothing));
  }
  const auto needed = static_cast<std::uint32_t>(std::get<ClassChosen>(plan.outcome).index);
  Decision decision{.config = config_,
                    .model = plan.model,
                    .class_index = needed,
                    .prompt = plan.prompt,
                    .counted = plan.counted,
                    .output = plan.output,
                    .affinity = key,
                    .order = {}};
  append_candidates(plan, needed, key, false, now, decision.order);
  append_candidates(plan, needed, key, true, now, decision.order);
  if (decision.order.empty()) return std::unexpected(nobody_ready(plan, needed));
  return decision;
}

bool Fleet::begin(EndpointId endpoint) {
  TK_ASSERT(endpoint < members_.size());
  if (members_[endpoint].drained) return false;
  ++members_[endpoint].in_flight;
  ++members_[endpoint].requests;
  return true;
}

void Fleet::end(EndpointId endpoint, Outcome outcome, const AffinityKey& key, Instant now) {
  TK_ASSERT(endpoint < members_.size() && members_[endpoint].in_flight > 0);
  Member& member = members_[endpoint];
  --member.in_flight;
  if (is_failure(outcome)) ++member.failures;
  if (member.health.on_outcome(outcome, key.hash, now) && may_eject(member, now)) member.health.eject(now);
}

bool Fleet::may_eject(const Member& member, Instant now) const {
  const Pool& pool = pools_[member.pool];
  std::uint32_t ejected = 0, others_ready = 0;
  for (EndpointId id = pool.first; id < pool.last; ++id) {
    const Member& other = members_[id];
    if (now < other.health.ejected_until()) ++ejected;
    if (&other != &member && serves(other, false, now)) ++others_ready;
  }
  const double share = config_->health.max_ejected_fraction * (pool.last - pool.first);
  return others_ready > 0 && ejected < std::max<std::uint32_t>(1, static_cast<std::uint32_t>(share));
}

bool Fleet::take_retry(const FailedAttempt& failed, Instant now) {
  return may_retry(failed, config_->retry) && budget_.try_take(now);
}

void Fleet::on_probe(EndpointId endpoint, ProbeResult result, Instant now) {
  TK_ASSERT(endpoint < members_.size());
  members_[endpoint].probing = false;
  members_[endpoint].health.on_probe(result, now);
}

std::vector<EndpointId> Fleet::take_due_probes(Instant now) {
  std::vector<EndpointId> due;
  for (EndpointId id = 0; id < members_.size(); ++id) {
    Member& member = members_[id];
    if (member.probing || now < member.health.probe_due()) continue;
    member.probing = true;
    due.push_back(id);
  }
  return due;
}

bool Fleet::set_drained(std::string_view endpoint, bool drained) {
  const auto id = find(endpoint);
  if (!id) return false;
  Member& member = members_[*id];
  if (drained && !member.drained) member.requests_at_drain = member.requests;
  member.drained = drained;
  return true;
}

bool Fleet::drain(std::string_view endpoint) { return set_drained(endpoint, true); }

bool Fleet::undrain(std::string_view endpoint) { return set_drained(endpoint, false); }

std::optional<std::uint64_t> Fleet::unstick(std::string_view pool) {
  const auto found = std::ranges::find(config_->pools, pool, &PoolConfig::name);
  if (found == config_->pools.end()) return std::nullopt;
  return ++pools_[static_cast<std::size_t>(found - config_->pools.begin())].epoch;
}

bool Fleet::ready(Instant now) const {
  return std::ranges::all_of(config_->models, [&](const ModelConfig& model) {
    return serves(pools_[model.classes.back().pool_index], now);
  });
}

bool Fleet::complete(Instant now) const {
  return std::ranges::all_of(config_->models, [&](const ModelConfig& model) {
    return std::ranges::all_of(model.classes, [&](const ContextClass& context_class) {
      return serves(pools_[context_class.pool_index], now);
    });
  });
}

std::uint64_t Fleet::epoch(std::size_t pool_index) const {
  TK_ASSERT(pool_index < pools_.size());
  return pools_[pool_index].epoch;
}

std::vector<std::uint32_t> Fleet::in_flight() const {
  std::vector<std::uint32_t> counts;
  for (const Member& member : members_) counts.push_back(member.in_flight);
  return counts;
}

MemberView Fleet::view(EndpointId endpoint, Instant now) const {
  TK_ASSERT(endpoint < members_.size());
  const Member& member = members_[endpoint];
  return {.config = member.config,
          .pool = &config_->pools[member.pool],
          .state = member.health.state(now),
          .drained = member.drained,
          .in_flight = member.in_flight,
          .requests = member.requests,
          .requests_since_drain = member.drained ? member.requests - member.requests_at_drain : 0,
          .failures = member.failures,
          .ejected_for = std::max(Duration::zero(), member.health.ejected_until() - now)};
}

const EndpointConfig& Fleet::endpoint(EndpointId id) const {
  TK_ASSERT(id < members_.size());
  return *members_[id].config;
}

std::optional<EndpointId> Fleet::find(std::string_view endpoint) const {
  for (EndpointId id = 0; id < members_.size(); ++id) {
    if (members_[id].config->name == endpoint) return id;
  }
  return std::nullopt;
}

}  // namespace truekeel::fleet
