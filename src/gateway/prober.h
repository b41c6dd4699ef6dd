// SPDX-License-Identifier: Apache-2.0
// Readiness of every endpoint, proven by a token: each is asked to generate one, unless a client's request
// has just had one from it. Thread safety: one thread.
#pragma once

#include <string>

#include "gateway/shared.h"
#include "http/client.h"
#include "http/net.h"

namespace truekeel::gateway {

class Prober {
 public:
  /// Both are borrowed for life.
  Prober(http::Net& net, Shared& shared) : net_(net), shared_(shared), client_(net, {}) {}

  /// Probes whatever is due, for ever.
  http::Task<void> run();

 private:
  http::Task<void> probe(fleet::EndpointId endpoint);
  http::Task<fleet::ProbeResult> generate_token(fleet::EndpointId endpoint);
  [[nodiscard]] bool proven_by_traffic(fleet::EndpointId endpoint) const;
  void report(fleet::EndpointId endpoint, fleet::ProbeResult result);

  http::Net& net_;
  Shared& shared_;
  http::Client client_;
};

}  // namespace truekeel::gateway
