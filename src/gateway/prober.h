// SPDX-License-Identifier: Apache-2.0
// Readiness of every endpoint, proven by a token: each is asked to generate one, unless a client's request
// has just had one from it. Thread safety: one thread.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "gateway/shared.h"
#include "http/client.h"
#include "http/net.h"

namespace truekeel::gateway {

class Prober {
 public:
  /// Both are borrowed for life.
  Prober(http::Net& net, Shared& shared) : net_(net), shared_(shared), client_(net, {}) {}

  /// Probes whatever is due, until stop().
  http::Task<void> run();

  /// Ends run() at its next look; probes under way end by their own limits.
  void stop() { stopped_ = true; }

 private:
  http::Task<void> probe(fleet::EndpointId endpoint, std::shared_ptr<Upstream> upstream);
  http::Task<fleet::ProbeResult> generate_token(Upstream& upstream, fleet::MemberView view);
  /// Asks a server what it does with a request that states no parameters; the audit must know.
  http::Task<void> learn_defaults(fleet::EndpointId endpoint, std::shared_ptr<Upstream> asked);
  [[nodiscard]] bool wants_defaults(fleet::EndpointId endpoint, const Upstream& upstream, Instant now);
  http::RequestHead head_of(const Upstream& upstream, std::string_view method, std::string_view path) const;
  [[nodiscard]] bool proven_by_traffic(const Upstream& upstream) const;
  /// Nothing when it was removed meanwhile.
  [[nodiscard]] std::optional<fleet::MemberView> view_of(fleet::EndpointId endpoint);
  void report(fleet::EndpointId endpoint, const std::string& name, fleet::ProbeResult result);

  http::Net& net_;
  Shared& shared_;
  http::Client client_;
  std::map<fleet::EndpointId, Instant> learnt_;
  bool stopped_ = false;
};

}  // namespace truekeel::gateway
