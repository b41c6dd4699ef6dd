// SPDX-License-Identifier: Apache-2.0
// Where a request goes, and how it gets there when all are busy.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "fleet/fleet.h"

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

/// Until then everybody who waits now is served or sent away.
std::uint32_t seconds_until_turnover(const LoadSettings& load) {
  return static_cast<std::uint32_t>(std::chrono::ceil<std::chrono::seconds>(load.queue_timeout).count());
}

Refusal queue_full(std::string_view pool, std::size_t waiting, const LoadSettings& load) {
  return {
      RefusalKind::overloaded, 503,
      fmt::format("all servers of pool '{}' are busy ({} calls each) and {} calls wait already; try again "
                  "later",
                  pool, load.max_in_flight, waiting),
      seconds_until_turnover(load)};
}

Refusal waited_too_long(std::string_view pool, const LoadSettings& load) {
  return {RefusalKind::overloaded, 503,
          fmt::format("all servers of pool '{}' were busy ({} calls each) for {} s; try again later", pool,
                      load.max_in_flight, std::chrono::duration<double>(load.queue_timeout).count()),
          seconds_until_turnover(load)};
}

}  // namespace

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
    std::vector<MemberLoad> loads;
    std::vector<std::pair<EndpointId, const Member*>> who;
    for (const EndpointId id : pool.members) {
      const Member& member = at(id);
      if (!serves(member, last_resort, now)) continue;
      present.push_back({member.id, member.config->weight_milli});
      loads.push_back({member.in_flight, member.config->weight_milli});
      who.emplace_back(id, &member);
    }
    if (who.empty()) continue;
    const auto over = over_bound(loads, pool.load->bound_milli);
    const auto begin = static_cast<std::ptrdiff_t>(order.size());
    std::uint32_t rank = 0;
    for (const auto place : rendezvous_order(present, key, pool.epoch, secret_)) {
      order.push_back({.endpoint = who[place].first,
                       .config = who[place].second->config,
                       .class_index = index,
                       .epoch = pool.epoch,
                       .rank = rank++,
                       .over_bound = over[place],
                       .overflow = index != first_class,
                       .last_resort = last_resort});
    }
    std::ranges::sort(order.begin() + begin, order.end(), {}, [](const Candidate& candidate) {
      return std::pair(candidate.over_bound, candidate.rank);
    });
  }
}

std::optional<ContextPlan> Fleet::current(const ContextPlan& plan) const {
  const bool ours = std::ranges::any_of(config_->models,
                                        [&plan](const ModelConfig& model) { return &model == plan.model; });
  return ours ? plan : plan_again(plan, *config_);
}

std::expected<Decision, Refusal> Fleet::route(const ContextPlan& planned, const AffinityKey& key,
                                              Instant now) const {
  TK_ASSERT(!std::holds_alternative<CountNeeded>(planned.outcome));
  const auto made = current(planned);
  if (!made) return std::unexpected(unknown_model(*config_, planned.model->name));
  const ContextPlan& plan = *made;
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
                    .order = {},
                    .passed_over = {}};
  append_candidates(plan, needed, key, false, now, decision.order);
  append_candidates(plan, needed, key, true, now, decision.order);
  if (decision.order.empty()) return std::unexpected(nobody_ready(plan, needed));
  return decision;
}

bool Fleet::full(const Member& member) const {
  const std::uint32_t limit = pools_[member.pool].load->max_in_flight;
  return limit > 0 && member.in_flight >= limit;
}

Fleet::Pool& Fleet::pool_of(const Decision& decision) {
  return pools_[decision.model->classes[decision.order.front().class_index].pool_index];
}

/// Only those are asked that are as good as the first: who finds his pool busy waits, and does not take the
/// room of those who need a larger window.
bool Fleet::begin_best(Decision& decision) {
  const auto as_good = [first = decision.order.front()](const Candidate& candidate) {
    return candidate.class_index == first.class_index && candidate.last_resort == first.last_resort;
  };
  auto& order = decision.order;
  const auto end = std::ranges::find_if_not(order, as_good);
  const auto chosen =
      std::find_if(order.begin(), end, [&](const Candidate& item) { return begin(item.endpoint); });
  if (chosen == end) return false;
  for (auto item = order.begin(); item != end; ++item) {
    if (item->rank < chosen->rank) decision.passed_over.push_back(item->endpoint);
  }
  std::rotate(order.begin(), chosen, chosen + 1);
  return true;
}

std::optional<Placement> Fleet::place(const ContextPlan& plan, const AffinityKey& key, Instant now) {
  auto decision = route(plan, key, now);
  if (!decision) return decision;
  if (!pool_of(*decision).queue.empty() || !begin_best(*decision)) return std::nullopt;
  return decision;
}

std::expected<Waiting, Refusal> Fleet::wait(const ContextPlan& plan, const AffinityKey& key,
                                            std::function<void()> wake, Instant now) {
  const auto decision = route(plan, key, now);
  if (!decision) return std::unexpected(decision.error());
  Pool& pool = pool_of(*decision);
  const std::string& name = decision->model->classes[decision->order.front().class_index].pool;
  const LoadSettings& load = *pool.load;
  pool.queue.push({++last_ticket_, *current(plan), key, now, std::move(wake)});
  serve_waiting(now);
  if (pool.queue.size() > load.queue_max) {
    pool.queue.remove(last_ticket_);
    return std::unexpected(queue_full(name, pool.queue.size(), load));
  }
  return Waiting{last_ticket_, name, now + load.queue_timeout, waited_too_long(name, load)};
}

std::optional<Placement> Fleet::leave(Ticket ticket) {
  if (auto turn = turns_.extract(ticket)) return std::move(turn.mapped());
  const bool waited = std::ranges::any_of(pools_, [&](Pool& pool) { return pool.queue.remove(ticket); });
  TK_ASSERT(waited);
  return std::nullopt;
}

void Fleet::settle(Waiter waiter, Placement placement) {
  turns_.emplace(waiter.ticket, std::move(placement));
  woken_.push_back(std::move(waiter.wake));
}

void Fleet::serve_waiting(Instant now) {
  for (Pool& pool : pools_) {
    while (!pool.queue.empty()) {
      const Waiter& first = pool.queue.front();
      auto decision = route(first.plan, first.key, now);
      if (decision && !begin_best(*decision)) break;
      if (decision) decision->waited = now - first.since;
      settle(pool.queue.pop(), std::move(decision));
    }
  }
}

void Fleet::queue_again(std::vector<Waiter> waiters, Instant now) {
  std::ranges::sort(waiters, {}, &Waiter::ticket);
  for (Waiter& waiter : waiters) {
    const auto plan = current(waiter.plan);
    const auto decision = route(waiter.plan, waiter.key, now);
    if (!decision) {
      settle(std::move(waiter), std::unexpected(decision.error()));
    } else {
      waiter.plan = *plan;
      pool_of(*decision).queue.push(std::move(waiter));
    }
  }
  serve_waiting(now);
  for (std::size_t i = 0; i < pools_.size(); ++i) {
    Pool& pool = pools_[i];
    while (pool.queue.size() > pool.load->queue_max) {
      settle(pool.queue.pop_last(),
             std::unexpected(queue_full(config_->pools[i].name, pool.load->queue_max, *pool.load)));
    }
  }
}

}  // namespace truekeel::fleet
