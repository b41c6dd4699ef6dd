// SPDX-License-Identifier: Apache-2.0
// Feeds the incident desk with what the router counts. Thread safety: one thread.
#pragma once

#include <map>
#include <string>

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
  std::map<std::string, std::string, std::less<>> fingerprints_;  // by endpoint, as last told
  Instant measured_ = Instant::min();
};

}  // namespace truekeel::gateway
