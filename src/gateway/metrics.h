// SPDX-License-Identifier: Apache-2.0
// What /metrics shows: OpenTelemetry's GenAI names in Prometheus' form, and the gateway's own. No label
// ever derives from content or from a client. Thread safety: every method, from any thread.
#pragma once

#include <prometheus/registry.h>

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/time.h"
#include "fleet/fleet.h"
#include "incident/request_record.h"

namespace truekeel::gateway {

/// One call of a client, when it is over.
struct CallRecord {
  incident::RequestRecord request;  ///< what is kept of it; the model is a configured one, or empty
  Duration total{};
  Duration waited{};  ///< for room at a server
  std::optional<Duration> first_token;
};

class Metrics {
 public:
  Metrics();

  void on_call(const CallRecord& call);
  void on_retry(const std::string& endpoint, std::string_view outcome);
  void on_overflow(const std::string& pool);
  void on_denial(std::string_view reason);
  void on_passed_over(const std::string& endpoint);
  void on_wait(const std::string& pool, Duration waited);
  void on_shed(const std::string& pool, std::string_view reason);
  void on_probe(const std::string& endpoint, std::string_view result);

  /// The exposition text, with the fleet's state as of now. Series of endpoints that it has no more are gone.
  [[nodiscard]] std::string text(const fleet::Fleet& fleet, Instant now);

 private:
  struct CallSeries {
    prometheus::Counter* requests = nullptr;
    prometheus::Histogram *duration = nullptr, *first_token = nullptr, *per_token = nullptr;
    prometheus::Counter *output = nullptr, *input = nullptr;
  };
  // These three with series_mutex_ held, and for as long as what they return is used.
  [[nodiscard]] const CallSeries& series_of(const CallRecord& call);
  [[nodiscard]] CallSeries make_series(const CallRecord& call);
  /// A counter that goes with its endpoint, which the labels name.
  [[nodiscard]] prometheus::Counter& of_endpoint(prometheus::Family<prometheus::Counter>& family,
                                                 const prometheus::Labels& labels);
  void forget_all_but(const std::set<std::string_view>& endpoints);

  prometheus::Registry registry_;
  prometheus::Family<prometheus::Histogram>& duration_;
  prometheus::Family<prometheus::Histogram>& first_token_;
  prometheus::Family<prometheus::Histogram>& per_token_;
  prometheus::Family<prometheus::Counter>& tokens_;
  prometheus::Family<prometheus::Counter>& requests_;
  prometheus::Family<prometheus::Counter>& retries_;
  prometheus::Family<prometheus::Counter>& overflows_;
  prometheus::Family<prometheus::Counter>& denials_;
  prometheus::Family<prometheus::Counter>& probes_;
  prometheus::Family<prometheus::Counter>& passed_over_;
  prometheus::Family<prometheus::Counter>& shed_;
  prometheus::Family<prometheus::Histogram>& queue_wait_;
  prometheus::Family<prometheus::Gauge>& queue_;
  prometheus::Family<prometheus::Gauge>& endpoint_ready_;
  prometheus::Family<prometheus::Gauge>& endpoint_in_flight_;
  prometheus::Family<prometheus::Gauge>& epoch_;

  std::mutex series_mutex_;
  std::unordered_map<std::string, CallSeries> series_;  // by the call's labels; guarded by it, as is:
  std::map<std::string, std::set<std::pair<prometheus::Family<prometheus::Counter>*, prometheus::Counter*>>>
      by_endpoint_;
  std::mutex shown_mutex_;
  std::vector<std::pair<prometheus::Family<prometheus::Gauge>*, prometheus::Gauge*>> shown_;  // guarded by it
};

}  // namespace truekeel::gateway
