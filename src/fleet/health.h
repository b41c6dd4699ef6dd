// SPDX-License-Identifier: Apache-2.0
// Health of one endpoint: readiness by probes that generate a token, and ejection of outliers by the
// outcomes of real requests, as in Envoy. Thread safety: a plain value, the caller locks.
// Invariants: what a client causes changes nothing; one client alone cannot eject a server that accepts
// connections; draining is an operator's wish and no part of health.
#pragma once

#include <array>
#include <cstdint>

#include "base/time.h"

namespace truekeel::fleet {

struct HealthSettings {
  Duration probe_interval = std::chrono::seconds(10);
  Duration probe_timeout = std::chrono::seconds(10);
  std::uint32_t unready_after = 2;               ///< failed probes in a row; a refused connection needs one
  std::uint32_t eject_after = 5;                 ///< failed requests in a row (Envoy's default)
  Duration ejection = std::chrono::seconds(30);  ///< times the number of ejections not yet forgiven
  Duration ejection_max = std::chrono::seconds(300);  ///< longest single ejection
  double max_ejected_fraction = 0.5;  ///< of a pool; at least one may be out, never the last ready one

  bool operator==(const HealthSettings&) const = default;
};

enum class ProbeResult {
  token,    ///< it generated a token: the only proof that it serves
  refused,  ///< nobody listens
  failed,   ///< too late, an error, or an answer without a token
  untried,  ///< there was nothing left here to connect with
};

/// How a request to an endpoint ended, as far as the endpoint is concerned.
enum class Outcome {
  success,
  connect_failure,  ///< no connection: surely not processed
  exhausted,        ///< nothing left here to connect with: says nothing of the endpoint
  reset,            ///< the connection broke after the request was sent
  timeout,          ///< the gateway's own deadline passed, not one that the client set
  server_error,     ///< a status of 5xx, or an error event inside a stream
  garbled,          ///< an answer that is not what the protocol says
  client_fault,     ///< 4xx: the request was wrong
  overloaded,       ///< 429: says nothing about health, the quota may be one client's
  client_left,
};

/// True for what is the endpoint's doing, false for what is fine, a client's or ours.
[[nodiscard]] bool is_failure(Outcome outcome);

[[nodiscard]] const char* to_string(Outcome outcome);

/// What the status line alone says.
[[nodiscard]] Outcome outcome_of_status(int status);

enum class HealthState { starting, ready, probation, ejected, unready };
[[nodiscard]] const char* to_string(HealthState state);

class Health {
 public:
  explicit Health(const HealthSettings& settings) : settings_(settings) {}

  void on_probe(ProbeResult result, Instant now);

  /// `client` tells clients apart (the affinity key's hash). True when the outcome asks for an ejection:
  /// whoever knows the rest of the pool then calls eject(), or does not.
  [[nodiscard]] bool on_outcome(Outcome outcome, std::uint64_t client, Instant now);

  void eject(Instant now);

  [[nodiscard]] HealthState state(Instant now) const;

  /// True when it may be given new requests.
  [[nodiscard]] bool ready(Instant now) const;

  /// True when probes are satisfied, ejected or not: the last resort of a pool without a ready member.
  [[nodiscard]] bool alive() const { return probe_ == Probe::ready; }

  /// When the next probe should be sent; at once after a broken connection.
  [[nodiscard]] Instant probe_due() const { return probe_due_; }

  /// The end of the current or last ejection.
  [[nodiscard]] Instant ejected_until() const { return ejected_until_; }
  [[nodiscard]] std::uint32_t ejections() const { return ejections_; }

 private:
  enum class Probe { starting, ready, unready };
  static constexpr int kWitnesses = 3;  ///< clients that must have seen failures, connecting apart

  void forget_failures();
  void witness(std::uint64_t client);

  HealthSettings settings_;
  Probe probe_ = Probe::starting;
  std::uint32_t failed_probes_ = 0;
  Instant probed_{};
  Instant probe_due_{};

  std::uint32_t failures_ = 0;          ///< in a row
  std::uint32_t connect_failures_ = 0;  ///< of these, without a connection
  std::array<std::uint64_t, kWitnesses> witnesses_{};
  int witness_count_ = 0;

  Instant ejected_until_{};
  std::uint32_t ejections_ = 0;       ///< not yet forgiven
  std::uint32_t probation_left_ = 0;  ///< successes that end probation
};

}  // namespace truekeel::fleet
