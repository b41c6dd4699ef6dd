// SPDX-License-Identifier: Apache-2.0
// Feeds the incident desk with what the router counts. Thread safety: one thread.
#pragma once

#include <string>
#include <vector>

#include "gateway/shared.h"
#include "http/net.h"

namespace truekeel::gateway {

class IncidentWatch {
 public:
  /// Both are borrowed for life. Requires: the gateway has incidents.
  IncidentWatch(http::Net& net, Shared& shared) : net_(net), shared_(shared) {}

  /// Looks again and again, for ever.
  http::Task<void> run();

 private:
  void look();

  http::Net& net_;
  Shared& shared_;
  std::vector<std::string> fingerprints_;  // by EndpointId, as last told
  Instant measured_ = Instant::min();
};

}  // namespace truekeel::gateway
