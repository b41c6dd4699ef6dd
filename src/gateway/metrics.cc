// SPDX-License-Identifier: Apache-2.0
#include "gateway/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/text_serializer.h>

#include <fmt/format.h>

#include <algorithm>

namespace truekeel::gateway {
namespace {

// Bucket bounds in seconds, as the GenAI semantic conventions advise for each metric.
const prometheus::Histogram::BucketBoundaries kDuration = {0.01, 0.02, 0.04, 0.08,  0.16,  0.32,  0.64,
                                                           1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92};
const prometheus::Histogram::BucketBoundaries kFirstToken = {
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0};
const prometheus::Histogram::BucketBoundaries kPerToken = {0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2,
                                                           0.3,  0.4,   0.5,  0.75,  1.0, 2.5};

template <class Metric>
auto& family(prometheus::Registry& registry, const char* name, const char* help) {
  if constexpr (std::is_same_v<Metric, prometheus::Histogram>) {
    return prometheus::BuildHistogram().Name(name).Help(help).Register(registry);
  } else if constexpr (std::is_same_v<Metric, prometheus::Counter>) {
    return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
  } else {
    return prometheus::BuildGauge().Name(name).Help(help).Register(registry);
  }
}

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

Metrics::Metrics()
    : duration_(family<prometheus::Histogram>(registry_, "gen_ai_server_request_duration_seconds",
                                              "From a call's last byte in to its answer's last byte out.")),
      first_token_(
          family<prometheus::Histogram>(registry_, "gen_ai_server_time_to_first_token_seconds",
                                        "From a call's last byte in to the first output of its stream.")),
      per_token_(family<prometheus::Histogram>(registry_, "gen_ai_server_time_per_output_token_seconds",
                                               "Between output tokens after the first, mean of a stream.")),
      tokens_(family<prometheus::Counter>(registry_, "gen_ai_client_token_usage_total",
                                          "Tokens as the servers state them.")),
      requests_(family<prometheus::Counter>(registry_, "truekeel_requests_total",
                                            "Calls by how they were routed and ended.")),
      retries_(family<prometheus::Counter>(registry_, "truekeel_retries_total",
                                           "Attempts that failed and were made again.")),
      overflows_(
          family<prometheus::Counter>(registry_, "truekeel_overflows_total",
                                      "Calls served by a larger class, their own pool having nobody ready.")),
      denials_(
          family<prometheus::Counter>(registry_, "truekeel_denials_total",
                                      "Calls not taken, for want of a key or beyond a client's limits.")),
      probes_(family<prometheus::Counter>(registry_, "truekeel_probes_total", "Readiness probes by result.")),
      passed_over_(family<prometheus::Counter>(
          registry_, "truekeel_passed_over_total",
          "Calls that went to a next server, the endpoint having its bound or limit of calls.")),
      shed_(family<prometheus::Counter>(
          registry_, "truekeel_shed_total",
          "Calls sent away with 503, for want of room at a server of their pool, or of our own.")),
      queue_wait_(family<prometheus::Histogram>(registry_, "truekeel_queue_wait_seconds",
                                                "How long calls waited for room, however it ended.")),
      queue_(family<prometheus::Gauge>(registry_, "truekeel_queue_waiting", "Calls that wait for room.")),
      endpoint_ready_(
          family<prometheus::Gauge>(registry_, "truekeel_endpoint_ready", "1 when it may get calls.")),
      endpoint_in_flight_(
          family<prometheus::Gauge>(registry_, "truekeel_endpoint_in_flight", "Calls under way.")),
      epoch_(family<prometheus::Gauge>(registry_, "truekeel_affinity_epoch", "Bumped by unstick.")) {}

/// Labels are maps of strings: made for every call, they cost more than all else.
const Metrics::CallSeries& Metrics::series_of(const CallRecord& call) {
  const auto& request = call.request;
  thread_local std::string key;
  key.clear();
  for (const auto* part : {&request.model, &request.pool, &request.endpoint, &request.context_class,
                           &request.counted, &request.end, &request.operation}) {
    key.append(*part).push_back('\0');
  }
  key.append(fmt::format_int(request.status).c_str());
  key.push_back(call.first_token ? '1' : '0');
  key.push_back(request.input_tokens ? '1' : '0');
  const auto known = series_.find(key);
  return known != series_.end() ? known->second : series_.emplace(key, make_series(call)).first->second;
}

Metrics::CallSeries Metrics::make_series(const CallRecord& call) {
  const auto& request = call.request;
  CallSeries series{.requests = &of_endpoint(requests_, {{"model", request.model},
                                                         {"pool", request.pool},
                                                         {"endpoint", request.endpoint},
                                                         {"class", request.context_class},
                                                         {"counted", request.counted},
                                                         {"status", std::to_string(request.status)},
                                                         {"end", request.end}})};
  if (request.endpoint.empty()) return series;
  prometheus::Labels served = {{"gen_ai_operation_name", request.operation},
                               {"gen_ai_request_model", request.model},
                               {"pool", request.pool}};
  series.duration = &duration_.Add(served, kDuration);
  if (call.first_token) {
    series.first_token = &first_token_.Add(served, kFirstToken);
    series.per_token = &per_token_.Add(served, kPerToken);
  }
  served["gen_ai_token_type"] = "output";
  series.output = &tokens_.Add(served);
  served["gen_ai_token_type"] = "input";
  if (request.input_tokens) series.input = &tokens_.Add(served);
  return series;
}

void Metrics::on_call(const CallRecord& call) {
  const auto& request = call.request;
  const std::lock_guard lock(series_mutex_);
  const CallSeries& series = series_of(call);
  series.requests->Increment();
  if (request.endpoint.empty()) return;
  series.duration->Observe(seconds(call.total));
  if (call.first_token) {
    series.first_token->Observe(seconds(*call.first_token));
    if (request.output_tokens > 1) {
      series.per_token->Observe(seconds(call.total - *call.first_token) /
                                static_cast<double>(request.output_tokens - 1));
    }
  }
  series.output->Increment(static_cast<double>(request.output_tokens));
  if (request.input_tokens) series.input->Increment(static_cast<double>(*request.input_tokens));
}

void Metrics::on_retry(const std::string& endpoint, std::string_view outcome) {
  const std::lock_guard lock(series_mutex_);
  of_endpoint(retries_, {{"endpoint", endpoint}, {"outcome", std::string(outcome)}}).Increment();
}

void Metrics::on_denial(std::string_view reason) {
  denials_.Add({{"reason", std::string(reason)}}).Increment();
}

void Metrics::on_passed_over(const std::string& endpoint) {
  const std::lock_guard lock(series_mutex_);
  of_endpoint(passed_over_, {{"endpoint", endpoint}}).Increment();
}

void Metrics::on_wait(const std::string& pool, Duration waited) {
  queue_wait_.Add({{"pool", pool}}, kDuration).Observe(seconds(waited));
}

void Metrics::on_shed(const std::string& pool, std::string_view reason) {
  shed_.Add({{"pool", pool}, {"reason", std::string(reason)}}).Increment();
}

void Metrics::on_overflow(const std::string& pool) { overflows_.Add({{"pool", pool}}).Increment(); }

void Metrics::on_probe(const std::string& endpoint, std::string_view result) {
  const std::lock_guard lock(series_mutex_);
  of_endpoint(probes_, {{"endpoint", endpoint}, {"result", std::string(result)}}).Increment();
}

prometheus::Counter& Metrics::of_endpoint(prometheus::Family<prometheus::Counter>& family,
                                          const prometheus::Labels& labels) {
  auto& counter = family.Add(labels);
  by_endpoint_[labels.at("endpoint")].emplace(&family, &counter);
  return counter;
}

void Metrics::forget_all_but(const std::set<std::string_view>& endpoints) {
  const std::lock_guard lock(series_mutex_);
  std::erase_if(by_endpoint_, [&](const auto& item) {
    const auto& [endpoint, counters] = item;
    if (endpoint.empty() || endpoints.contains(endpoint)) return false;
    std::erase_if(series_,
                  [&](const auto& known) { return counters.contains({&requests_, known.second.requests}); });
    for (const auto& [family, counter] : counters) family->Remove(counter);
    return true;
  });
}

std::string Metrics::text(const fleet::Fleet& fleet, Instant now) {
  // A reload may have removed what was shown last time.
  const std::lock_guard lock(shown_mutex_);
  for (const auto& [family, gauge] : shown_) family->Remove(gauge);
  shown_.clear();
  const auto show = [this](auto& family, const prometheus::Labels& labels, double value) {
    auto& gauge = family.Add(labels);
    gauge.Set(value);
    shown_.emplace_back(&family, &gauge);
  };
  std::set<std::string_view> endpoints;
  for (const auto id : fleet.endpoints()) {
    const auto view = fleet.view(id, now);
    endpoints.insert(view.config->name);
    const prometheus::Labels labels = {{"endpoint", view.config->name}, {"pool", view.pool->name}};
    const bool serves = !view.drained && (view.state == fleet::HealthState::ready ||
                                          view.state == fleet::HealthState::probation);
    show(endpoint_ready_, labels, serves ? 1 : 0);
    show(endpoint_in_flight_, labels, view.in_flight);
  }
  const auto& pools = fleet.config()->pools;
  for (std::size_t pool = 0; pool < pools.size(); ++pool) {
    show(epoch_, {{"pool", pools[pool].name}}, static_cast<double>(fleet.epoch(pool)));
    show(queue_, {{"pool", pools[pool].name}}, static_cast<double>(fleet.queue(pool, now).waiting));
  }
  forget_all_but(endpoints);
  return prometheus::TextSerializer().Serialize(registry_.Collect());
}

}  // namespace truekeel::gateway
