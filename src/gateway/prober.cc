// SPDX-License-Identifier: Apache-2.0
#include "gateway/prober.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "protocol/json.h"
#include "protocol/properties.h"
#include "protocol/response_facts.h"

namespace truekeel::gateway {
namespace {

constexpr Duration kLook = std::chrono::milliseconds(100);
constexpr std::size_t kAnswerBytesMax = 1 << 20;
/// A server that was started anew may do something else by default.
constexpr Duration kLearnEvery = std::chrono::seconds(30);
/// A server whose slots are all busy with our own requests answers late without being ill.
constexpr int kPatienceWhenBusy = 6;

std::string_view name_of(fleet::ProbeResult result) {
  switch (result) {
    case fleet::ProbeResult::token:
      return "token";
    case fleet::ProbeResult::refused:
      return "refused";
    case fleet::ProbeResult::failed:
      return "failed";
  }
  return "";
}

/// The model that the endpoint serves: its own name for it, else the first of ours that its pool serves.
std::string model_of(const fleet::Config& config, const fleet::MemberView& view) {
  if (!view.config->upstream_model.empty()) return view.config->upstream_model;
  for (const auto& model : config.models) {
    if (std::ranges::any_of(model.classes,
                            [&](const auto& served) { return served.pool == view.pool->name; })) {
      return model.name;
    }
  }
  return {};
}

}  // namespace

http::Task<void> Prober::run() {
  while (!stopped_) {
    const Instant now = net_.now();
    const auto due = shared_.fleet([now](fleet::Fleet& fleet) { return fleet.take_due_probes(now); });
    for (const auto endpoint : due) {
      if (wants_defaults(endpoint, now)) http::spawn(net_, learn_defaults(endpoint));
      if (proven_by_traffic(endpoint)) {
        report(endpoint, fleet::ProbeResult::token);
      } else {
        http::spawn(net_, probe(endpoint));
      }
    }
    co_await net_.sleep_until(now + kLook);
  }
}

bool Prober::proven_by_traffic(fleet::EndpointId endpoint) const {
  const Instant last = shared_.upstream(endpoint).last_token();
  return last != Instant::min() && net_.now() - last < shared_.config().health.probe_interval;
}

http::RequestHead Prober::head_of(const Upstream& upstream, std::string_view method,
                                  std::string_view path) const {
  http::RequestHead head{.method = std::string(method),
                         .target = upstream.config().url.prefix + std::string(path),
                         .minor_version = 1,
                         .headers = {{"host", upstream.authority()}, {"content-type", "application/json"}}};
  if (!upstream.key().empty()) head.headers.add("authorization", "Bearer " + upstream.key());
  return head;
}

bool Prober::wants_defaults(fleet::EndpointId endpoint, Instant now) {
  const auto last = learnt_.find(endpoint);
  return shared_.upstream(endpoint).dialect().engine == EngineKind::llama_cpp &&
         (last == learnt_.end() || now - last->second >= kLearnEvery);
}

http::Task<void> Prober::learn_defaults(fleet::EndpointId endpoint) {
  auto& upstream = shared_.upstream(endpoint);
  const Instant now = net_.now();
  const auto timeout = shared_.config().health.probe_timeout;
  const http::CallOptions options{
      .first_byte = timeout, .idle = timeout, .deadline = now + timeout, .idempotent = true};
  http::Call call(client_);
  const auto head = head_of(upstream, "GET", upstream.dialect().properties_path);
  if (!co_await call.send(upstream.address(), head, "", options)) co_return;
  const auto answer = co_await call.read_all(kAnswerBytesMax);
  if (!answer || call.head().status != 200) co_return;
  const auto properties = protocol::read_llama_properties(*answer);
  if (!properties) co_return;
  learnt_[endpoint] = now;
  shared_.sentinel().note_defaults(endpoint, {.temperature = properties->temperature,
                                              .top_p = properties->top_p,
                                              .min_p = properties->min_p,
                                              .top_k = properties->top_k,
                                              .plain = properties->plain});
}

http::Task<void> Prober::probe(fleet::EndpointId endpoint) {
  report(endpoint, co_await generate_token(endpoint));
}

http::Task<fleet::ProbeResult> Prober::generate_token(fleet::EndpointId endpoint) {
  auto& upstream = shared_.upstream(endpoint);
  const auto view =
      shared_.fleet([&](const fleet::Fleet& fleet) { return fleet.view(endpoint, net_.now()); });
  const std::string body =
      fmt::format(R"({{"model":{},"messages":[{{"role":"user","content":"ping"}}],"{}":1,"temperature":0}})",
                  protocol::quoted(model_of(shared_.config(), view)), upstream.dialect().chat_limit_field);
  const auto head = head_of(upstream, "POST", "/v1/chat/completions");
  const auto timeout = shared_.config().health.probe_timeout * (view.in_flight > 0 ? kPatienceWhenBusy : 1);
  const http::CallOptions options{
      .first_byte = timeout, .idle = timeout, .deadline = net_.now() + timeout, .idempotent = true};

  http::Call call(client_);
  if (const auto sent = co_await call.send(upstream.address(), head, body, options); !sent) {
    co_return sent.error().kind == http::CallFailure::connect ? fleet::ProbeResult::refused
                                                              : fleet::ProbeResult::failed;
  }
  const auto answer = co_await call.read_all(kAnswerBytesMax);
  if (!answer || call.head().status != 200) co_return fleet::ProbeResult::failed;
  protocol::ResponseReader reader;
  const auto facts = reader.read(*answer);
  if (!facts || facts->is_error || facts->choices == 0) co_return fleet::ProbeResult::failed;
  // A usage that says 0 tokens is the one proof that none was generated; servers may leave usage out.
  if (facts->usage && facts->usage->completion_tokens == 0) co_return fleet::ProbeResult::failed;
  upstream.note_fingerprint(facts->system_fingerprint);
  co_return fleet::ProbeResult::token;
}

void Prober::report(fleet::EndpointId endpoint, fleet::ProbeResult result) {
  const Instant now = net_.now();
  const auto [before, after] = shared_.fleet([&](fleet::Fleet& fleet) {
    const auto old = fleet.view(endpoint, now).state;
    fleet.on_probe(endpoint, result, now);
    return std::pair(old, fleet.view(endpoint, now).state);
  });
  const auto& name = shared_.upstream(endpoint).config().name;
  shared_.metrics().on_probe(name, name_of(result));
  if (before != after) {
    log(after == fleet::HealthState::ready ? LogLevel::info : LogLevel::warning, "endpoint.health",
        {{"endpoint", name},
         {"from", fleet::to_string(before)},
         {"to", fleet::to_string(after)},
         {"probe", name_of(result)}});
  }
}

}  // namespace truekeel::gateway
