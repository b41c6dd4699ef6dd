// SPDX-License-Identifier: Apache-2.0
#include "sentinel/auditor.h"

#include <algorithm>
#include <bit>
#include <ranges>
#include <set>
#include <utility>

#include "base/assert.h"

namespace truekeel::sentinel {
namespace {

using evidence::Attribute;

/// A token that ends inside a character of UTF-8 hides at most two more before the one that shows.
constexpr std::uint64_t kHiddenMost = 3;

std::string bet_name(std::string_view what, double rate) {
  std::string text(what);
  char number[32];
  std::snprintf(number, sizeof number, " at %.3g %%", 100 * rate);
  return text + number;
}

/// Powers of two, so that few values hold all: at most so many tokens.
std::string length_bin(const fleet::TokenRange& prompt) {
  const std::uint64_t tokens = prompt.bounded() ? prompt.upper : prompt.lower;
  std::uint64_t bin = 256;
  while (bin < tokens && bin < (1u << 20)) bin *= 4;
  return (prompt.bounded() ? "<=" : ">=") + std::to_string(bin);
}

std::string batch_bin(std::uint32_t under_way) {
  return "<=" + std::to_string(std::bit_ceil(std::clamp<std::uint32_t>(under_way, 1, 1024)));
}

std::string label(const fleet::EndpointConfig& endpoint, const char* name) {
  const auto found = endpoint.labels.find(name);
  return found == endpoint.labels.end() ? "" : found->second;
}

}  // namespace

std::string_view name(Lost lost) {
  constexpr std::array<std::string_view, kLost> kNames = {"missing", "unreadable", "dropped", "late"};
  return kNames[std::to_underlying(lost)];
}

Auditor::Auditor(const std::shared_ptr<const fleet::Config>& config, const AuditorSettings& settings,
                 Instant now, WallTime wall)
    : settings_(settings),
      invariant_bets_(kInvariants),
      audit_("audit", evidence_.audit().bets(), settings.audit_nodes_max,
             [this](std::size_t cell) {
               const auto& bets = evidence_.audit().bets();
               return bet_name(evidence::name(static_cast<evidence::Alternative>(bets.alternative_of(cell))),
                               bets.rate_of(cell));
             }),
      invariants_("invariant", invariant_bets_, settings.invariant_nodes_max,
                  [this](std::size_t cell) {
                    return bet_name(
                        sentinel::name(static_cast<Invariant>(invariant_bets_.alternative_of(cell))),
                        invariant_bets_.rate_of(cell));
                  }),
      budget_({.false_alarms_per_day = settings.false_alarms_per_day,
               .detectors_max = settings.audit_nodes_max + settings.invariant_nodes_max},
              now),
      clock_(now),
      whole_order_(TapLimits{}.answers, settings.patience),
      verdict_order_(TapLimits{}.answers, settings.patience),
      flushed_(now),
      wall_(wall) {
  replace(config, fleet::number_endpoints(*config));
}

Auditor::Endpoint& Auditor::at(fleet::EndpointId id) {
  const auto found = endpoints_.find(id);
  TK_ASSERT(found != endpoints_.end());
  return found->second;
}

const Auditor::Endpoint& Auditor::at(fleet::EndpointId id) const {
  const auto found = endpoints_.find(id);
  TK_ASSERT(found != endpoints_.end());
  return found->second;
}

void Auditor::replace(const std::shared_ptr<const fleet::Config>& config, const fleet::Roster& roster) {
  for (auto& [id, endpoint] : endpoints_) endpoint.removed = true;
  for (std::size_t i = 0; i < roster.size(); ++i) {
    const fleet::PoolConfig& pool = config->pools[i];
    for (std::size_t n = 0; n < roster[i].size(); ++n)
      place_endpoint(roster[i][n], config, pool, pool.endpoints[n]);
  }
  intern_endpoints();
}

void Auditor::place_endpoint(fleet::EndpointId id, const std::shared_ptr<const fleet::Config>& held,
                             const fleet::PoolConfig& pool, const fleet::EndpointConfig& config) {
  const auto [place, fresh] = endpoints_.try_emplace(id);
  Endpoint& endpoint = place->second;
  if (fresh) {
    endpoint.dialect = &protocol::dialect(config.engine);
    endpoint.shipped = evidence::shipped(to_string(config.engine));
    if (endpoint.shipped) endpoint.rho = evidence::live_rho(*endpoint.shipped);
  }
  endpoint.held = held;
  endpoint.config = &config;
  endpoint.pool = &pool;
  endpoint.removed = false;
}

void Auditor::on(Message&& message) {
  if (const auto* admitted = std::get_if<Admitted>(&message)) return on_admitted(*admitted);
  if (const auto* records = std::get_if<Records>(&message)) return on_records(*records);
  on_ended(std::get<Ended>(message));
}

void Auditor::put(Places& places, Attribute attribute, std::string_view text) {
  places[kAudit][attribute] = audit_.intern(attribute, text);
  places[kInvariant][attribute] = invariants_.intern(attribute, text);
}

void Auditor::intern_endpoints() {
  for (auto& [id, endpoint] : endpoints_) {
    endpoint.fixed = {};
    put(endpoint.fixed, Attribute::endpoint, endpoint.config->name);
    put(endpoint.fixed, Attribute::pool, endpoint.pool->name);
    put(endpoint.fixed, Attribute::hardware, label(*endpoint.config, "hardware"));
    put(endpoint.fixed, Attribute::version, label(*endpoint.config, "version"));
  }
}

Auditor::Places Auditor::places_of(fleet::EndpointId endpoint, std::string_view fingerprint) const {
  Places places = at(endpoint).fixed;
  places[kAudit][Attribute::fingerprint] = audit_.names().find(Attribute::fingerprint, fingerprint);
  places[kInvariant][Attribute::fingerprint] = invariants_.names().find(Attribute::fingerprint, fingerprint);
  return places;
}

Auditor::Places Auditor::places_of(const Admission& about) {
  Places places = at(about.endpoint).fixed;
  put(places, Attribute::fingerprint, about.fingerprint);
  put(places, Attribute::context_class, about.context_class);
  put(places, Attribute::prompt_length, length_bin(about.prompt));
  put(places, Attribute::client_version, about.client_version);
  put_batch(places, about.endpoint);
  return places;
}

void Auditor::put_batch(Places& places, fleet::EndpointId endpoint) {
  put(places, Attribute::batch_size, batch_bin(at(endpoint).under_way));
}

void Auditor::note_under_way(const UnderWay& fleet) {
  for (auto& [id, endpoint] : endpoints_) endpoint.listed = false;
  for (const auto& [id, requests] : fleet) {
    Endpoint& endpoint = at(id);
    endpoint.under_way = requests;
    endpoint.listed = true;
  }
}

/// Forgets whom nobody can route to any more, and of whom nothing waits to be entered.
void Auditor::forget_removed() {
  const auto gone = [](const Endpoint& endpoint) { return endpoint.removed && !endpoint.listed; };
  if (std::ranges::none_of(endpoints_ | std::views::values, gone)) return;
  std::set<fleet::EndpointId> in_use;
  for (const auto& [id, answer] : answers_) in_use.insert(answer.about.endpoint);
  for (const auto* queue : {&whole_queue_, &verdict_queue_})
    for (const Queued& answer : *queue) in_use.insert(answer.endpoint);
  std::erase_if(endpoints_, [&](const auto& item) {
    const bool forgotten = gone(item.second) && !in_use.contains(item.first);
    if (forgotten) book_.forget(item.first);
    return forgotten;
  });
}

void Auditor::on_admitted(const Admitted& admitted) {
  const Admission& about = admitted.about;
  Endpoint& endpoint = at(about.endpoint);
  TK_ASSERT(endpoint.shipped);
  Answer answer{
      .about = about, .where = places_of(about), .whole = {}, .pending = {}, .said = {}, .seed = {}};
  answer.pending.sums.assign(audit_.bets().cells(), 0.0f);
  const Queued queued{admitted.answer,   admitted.at,  answer.where, about.endpoint,
                      about.output_most, about.client, about.session};
  if (!about.streamed) {
    answer.whole = whole_order_.admit(admitted.at);
    whole_queue_.push_back(queued);
  }
  answer.verdict = verdict_order_.admit(admitted.at);
  verdict_queue_.push_back(queued);
  ++endpoint.audit.answers;
  answers_.emplace(admitted.answer, std::move(answer));
}

void Auditor::lose(Answer& answer, std::uint64_t tokens, Lost why) {
  if (tokens == 0) return;
  audit_.bets().add_lost(tokens, answer.pending.sums);
  answer.entered_lost += tokens;
  answer.pending.count += static_cast<std::uint32_t>(tokens);
  answer.pending.lost[std::to_underlying(why)] += tokens;
  if (!answer.whole) waiting_ += tokens;
}

void Auditor::on_records(const Records& records) {
  const auto found = answers_.find(records.answer);
  TK_ASSERT(found != answers_.end());
  Answer& answer = found->second;
  const Endpoint& endpoint = at(answer.about.endpoint);
  if (records.seed) answer.seed = records.seed;
  const std::string_view text = records.text;
  evidence::AuditTolerances tolerances = endpoint.shipped->audit();
  tolerances.rho = endpoint.rho->now().value;
  const auto seen = evidence_.add(text.substr(0, records.audit_at), text.substr(records.audit_at),
                                  {*endpoint.shipped, answer.about.sampling, tolerances, answer.seed},
                                  answer.pending.sums, answer.pending.speed);
  if (!seen) {
    // How many tokens it spoke of shows in the end, if the server states their number.
    answer.said.all_arrived = false;
    return lose(answer, 1, Lost::unreadable);
  }
  answer.said.records += seen->tokens;
  answer.said.id_most = std::max(answer.said.id_most, seen->id_most);
  answer.said.has_ids = answer.said.has_ids || seen->id_most > 0;
  answer.pending.count += seen->tokens;
  answer.pending.usable += seen->tokens - seen->unusable;
  answer.pending.telling += seen->telling;
  answer.pending.excluded += seen->excluded;
  answer.pending.lost[std::to_underlying(Lost::unreadable)] += seen->unusable;
  if (!answer.whole) waiting_ += seen->tokens;
  // In a stream the tokens before one that goes on with a character have come with it, and left no record.
  if (endpoint.dialect->missing == protocol::MissingRecords::incomplete_utf8)
    lose(answer, seen->unfinished, Lost::missing);
}

/// Enters what is known to have been drawn and was not seen.
void Auditor::settle(Answer& answer, const Ended& ended) {
  if (ended.dropped > 0) answer.said.all_arrived = false;
  const bool complete = ended.end.how == AnswerEnd::How::complete;
  // Of a stream that was cut, what was not delivered was not to be looked at.
  if (!complete && answer.said.all_arrived) return;
  const Lost why = ended.dropped > 0         ? Lost::dropped
                   : answer.said.all_arrived ? Lost::missing
                                             : Lost::unreadable;
  const std::uint64_t known = answer.said.records + answer.entered_lost;
  if (ended.end.drawn) {
    lose(answer, *ended.end.drawn > known ? *ended.end.drawn - known : 0, why);
  } else if (!answer.said.all_arrived) {
    lose(answer, answer.about.output_most > known ? answer.about.output_most - known : 0, why);
  } else if (at(answer.about.endpoint).dialect->missing != protocol::MissingRecords::none) {
    lose(answer, kHiddenMost, why);
  }
}

void Auditor::on_ended(const Ended& ended) {
  const auto found = answers_.find(ended.answer);
  TK_ASSERT(found != answers_.end());
  Answer answer = std::move(found->second);
  answers_.erase(found);
  using How = AnswerEnd::How;
  if (ended.end.how == How::complete || ended.end.how == How::cut) settle(answer, ended);
  if (answer.whole) {
    // What never came, or not as a whole, enters at its lower bound.
    if (ended.end.how == How::lost || ended.end.how == How::cut)
      whole_order_.abandon(*answer.whole);
    else
      whole_order_.complete(*answer.whole, std::move(answer.pending));
  } else {
    enter(answer);
  }
  if (ended.end.how != How::complete) return verdict_order_.abandon(answer.verdict);
  Verdicts verdicts = judge(answer.about, ended.end, answer.said, *at(answer.about.endpoint).dialect);
  verdicts[std::to_underlying(Invariant::fingerprint)] =
      book_.check_fingerprint(answer.about.endpoint, ended.end.fingerprint);
  verdict_order_.complete(answer.verdict, verdicts);
}

void Auditor::count(fleet::EndpointId endpoint, Tokens& tokens) {
  // By what has entered alone: what is tolerated of a token must not depend on that token.
  tokens.telling -= tokens.excluded;
  for (; tokens.telling > 0; --tokens.telling) at(endpoint).rho->add(false);
  for (; tokens.excluded > 0; --tokens.excluded) at(endpoint).rho->add(true);
  EndpointAudit& audit = at(endpoint).audit;
  audit.tokens += std::exchange(tokens.usable, 0);
  for (std::size_t i = 0; i < kLost; ++i) audit.lost[i] += std::exchange(tokens.lost[i], 0);
  audit.speed.take(tokens.speed);
}

/// Gives what has come of a stream since the last flush to the window that is filled now.
void Auditor::enter(Answer& answer) {
  count(answer.about.endpoint, answer.pending);
  if (answer.pending.count == 0) return;
  audit_.add(answer.where[kAudit], {.log_factors = answer.pending.sums,
                                    .tokens = answer.pending.count,
                                    .begins = !std::exchange(answer.begun, true),
                                    .client = answer.about.client,
                                    .session = answer.about.session});
  std::ranges::fill(answer.pending.sums, 0.0f);
  answer.pending.count = 0;
}

void Auditor::heal(fleet::EndpointId endpoint) {
  if (at(endpoint).shipped) at(endpoint).rho = evidence::live_rho(*at(endpoint).shipped);
  const Places known = places_of(endpoint, book_.stated(endpoint));
  for (const std::size_t which : {kAudit, kInvariant}) {
    Signal& signal = which == kAudit ? audit_ : invariants_;
    for (const evidence::Slice& slice : signal.heal(known[which]))
      told_.erase(signal.name() + signal.names().describe(slice));
  }
}

bool Auditor::approve(fleet::EndpointId endpoint) {
  if (!book_.approve(endpoint)) return false;
  heal(endpoint);
  return true;
}

}  // namespace truekeel::sentinel
