// SPDX-License-Identifier: Apache-2.0
#include "worker/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <chrono>

namespace truekeel::worker {
namespace {

using prometheus::BuildCounter, prometheus::BuildGauge, prometheus::BuildHistogram;

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

// From a token of a small model to a prompt of 32k tokens on a slow CPU.
const prometheus::Histogram::BucketBoundaries kSeconds = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1,
                                                          2.5,   5,    10,    25,   50,  100,  250};

}  // namespace

struct Metrics::State {
  prometheus::Registry registry;
  prometheus::Family<prometheus::Counter>& requests = BuildCounter()
                                                          .Name("truekeel_worker_requests_total")
                                                          .Help("Requests by route and HTTP status")
                                                          .Register(registry);
  prometheus::Histogram& first_token = BuildHistogram()
                                           .Name("truekeel_worker_time_to_first_token_seconds")
                                           .Help("From the request to the first token")
                                           .Register(registry)
                                           .Add({}, kSeconds);
  prometheus::Histogram& request = BuildHistogram()
                                       .Name("truekeel_worker_request_seconds")
                                       .Help("From the request to the end of the answer")
                                       .Register(registry)
                                       .Add({}, kSeconds);
  prometheus::Family<prometheus::Counter>& tokens = BuildCounter()
                                                        .Name("truekeel_worker_tokens_total")
                                                        .Help("Tokens prefilled and sampled or scored")
                                                        .Register(registry);
  prometheus::Counter& prompt_tokens = tokens.Add({{"type", "prompt"}});
  prometheus::Counter& completion_tokens = tokens.Add({{"type", "completion"}});
  prometheus::Counter& steps = BuildCounter()
                                   .Name("truekeel_worker_steps_total")
                                   .Help("Steps of the inference thread")
                                   .Register(registry)
                                   .Add({});
  prometheus::Counter& decode_rows = BuildCounter()
                                         .Name("truekeel_worker_decode_rows_total")
                                         .Help("Answers stepped, summed over the steps")
                                         .Register(registry)
                                         .Add({});
  prometheus::Gauge& busy_slots = BuildGauge()
                                      .Name("truekeel_worker_busy_slots")
                                      .Help("Slots that hold a prompt or an answer")
                                      .Register(registry)
                                      .Add({});
  prometheus::Gauge& waiting = BuildGauge()
                                   .Name("truekeel_worker_waiting_requests")
                                   .Help("Choices in the queue")
                                   .Register(registry)
                                   .Add({});
  prometheus::Gauge& ready = BuildGauge()
                                 .Name("truekeel_worker_ready")
                                 .Help("1 when a token was generated lately")
                                 .Register(registry)
                                 .Add({});
};

Metrics::Metrics(std::string_view model, std::string_view fingerprint) : state_(std::make_unique<State>()) {
  BuildGauge()
      .Name("truekeel_worker_info")
      .Help("What this server is")
      .Register(state_->registry)
      .Add({{"model", std::string(model)}, {"fingerprint", std::string(fingerprint)}})
      .Set(1);
}

Metrics::~Metrics() = default;

void Metrics::answered(std::string_view route, int status) {
  state_->requests.Add({{"route", std::string(route)}, {"status", std::to_string(status)}}).Increment();
}

void Metrics::first_token(Duration since_request) { state_->first_token.Observe(seconds(since_request)); }

void Metrics::finished(Duration since_request) { state_->request.Observe(seconds(since_request)); }

std::string Metrics::text(const Counters& counters, bool ready) const {
  const auto raise = [](prometheus::Counter& counter, std::uint64_t to) {
    counter.Increment(static_cast<double>(to) - counter.Value());
  };
  raise(state_->prompt_tokens, counters.prompt_tokens);
  raise(state_->completion_tokens, counters.completion_tokens);
  raise(state_->steps, counters.steps);
  raise(state_->decode_rows, counters.decode_rows);
  state_->busy_slots.Set(counters.busy_slots);
  state_->waiting.Set(counters.waiting);
  state_->ready.Set(ready ? 1 : 0);
  return prometheus::TextSerializer().Serialize(state_->registry.Collect());
}

}  // namespace truekeel::worker
