// SPDX-License-Identifier: Apache-2.0
#include "fleet/health.h"

#include <algorithm>

#include "base/assert.h"

namespace truekeel::fleet {
namespace {

/// Between probes of an endpoint that is not ready or under suspicion: soon back, yet no burden.
constexpr Duration kSoon = std::chrono::seconds(1);

constexpr std::uint32_t kProbationSuccesses = 5;

bool broke_connection(Outcome outcome) {
  return outcome == Outcome::connect_failure || outcome == Outcome::reset;
}

}  // namespace

Outcome outcome_of_status(int status) {
  if (status == 429) return Outcome::overloaded;
  if (status >= 500) return Outcome::server_error;
  if (status >= 400) return Outcome::client_fault;
  return Outcome::success;
}

bool is_failure(Outcome outcome) {
  switch (outcome) {
    case Outcome::connect_failure:
    case Outcome::reset:
    case Outcome::timeout:
    case Outcome::server_error:
    case Outcome::garbled:
      return true;
    case Outcome::success:
    case Outcome::client_fault:
    case Outcome::overloaded:
    case Outcome::client_left:
    case Outcome::exhausted:
      return false;
  }
  return false;
}

const char* to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::success:
      return "success";
    case Outcome::connect_failure:
      return "connect_failure";
    case Outcome::exhausted:
      return "exhausted";
    case Outcome::reset:
      return "reset";
    case Outcome::timeout:
      return "timeout";
    case Outcome::server_error:
      return "server_error";
    case Outcome::garbled:
      return "garbled";
    case Outcome::client_fault:
      return "client_fault";
    case Outcome::overloaded:
      return "overloaded";
    case Outcome::client_left:
      return "client_left";
  }
  return "";
}

const char* to_string(HealthState state) {
  switch (state) {
    case HealthState::starting:
      return "starting";
    case HealthState::ready:
      return "ready";
    case HealthState::probation:
      return "probation";
    case HealthState::ejected:
      return "ejected";
    case HealthState::unready:
      return "unready";
  }
  return "";
}

void Health::on_probe(ProbeResult result, Instant now) {
  probed_ = now;
  switch (result) {
    case ProbeResult::token:
      failed_probes_ = 0;
      if (probe_ != Probe::ready) forget_failures();
      probe_ = Probe::ready;
      break;
    case ProbeResult::refused:
      probe_ = Probe::unready;
      break;
    case ProbeResult::failed:
      if (++failed_probes_ >= settings_.unready_after) probe_ = Probe::unready;
      break;
    case ProbeResult::untried:
      break;
  }
  const bool content = probe_ == Probe::ready && failed_probes_ == 0;
  probe_due_ = now + (content ? settings_.probe_interval : std::min(kSoon, settings_.probe_interval));
}

bool Health::on_outcome(Outcome outcome, std::uint64_t client, Instant now) {
  if (outcome == Outcome::success) {
    forget_failures();
    if (probation_left_ > 0 && now >= ejected_until_) --probation_left_;
    return false;
  }
  if (!is_failure(outcome)) return false;
  if (broke_connection(outcome)) probe_due_ = std::min(probe_due_, std::max(now, probed_ + kSoon));
  if (now < ejected_until_) return false;  // requests that were under way when it was ejected

  ++failures_;
  if (outcome == Outcome::connect_failure) ++connect_failures_;
  witness(client);
  const std::uint32_t enough = probation_left_ > 0 ? 1 : settings_.eject_after;
  return connect_failures_ >= enough || (failures_ >= enough && witness_count_ == kWitnesses);
}

void Health::eject(Instant now) {
  // A good time as long as one ejection forgives one, so that old sins do not count for ever.
  if (ejections_ > 0 && now > ejected_until_) {
    const auto forgiven = (now - ejected_until_) / settings_.ejection;
    ejections_ -= static_cast<std::uint32_t>(std::min<std::int64_t>(ejections_, forgiven));
  }
  ++ejections_;
  ejected_until_ = now + std::min(settings_.ejection * ejections_, settings_.ejection_max);
  probation_left_ = kProbationSuccesses;
  forget_failures();
}

HealthState Health::state(Instant now) const {
  if (probe_ == Probe::starting) return HealthState::starting;
  if (probe_ == Probe::unready) return HealthState::unready;
  if (now < ejected_until_) return HealthState::ejected;
  return probation_left_ > 0 ? HealthState::probation : HealthState::ready;
}

bool Health::ready(Instant now) const { return probe_ == Probe::ready && now >= ejected_until_; }

void Health::forget_failures() {
  failures_ = 0;
  connect_failures_ = 0;
  witness_count_ = 0;
}

void Health::witness(std::uint64_t client) {
  const auto known = witnesses_.begin() + witness_count_;
  if (witness_count_ < kWitnesses && std::find(witnesses_.begin(), known, client) == known) {
    witnesses_[witness_count_++] = client;
  }
}

}  // namespace truekeel::fleet
