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
    case fleet::ProbeResult::untried:
      return "untried";
  }
  return "";
}

/// The model that the endpoint serves: its own name for it, else the first of ours that its pool serves.
std::string model_of(const fleet::MemberView& view) {
  if (!view.config->upstream_model.empty()) return view.config->upstream_model;
  for (const auto& model : view.held->models) {
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
      auto upstream = shared_.upstream(endpoint);
      if (!upstream) continue;  // removed meanwhile
      if (wants_defaults(endpoint, *upstream, now)) http::spawn(net_, learn_defaults(endpoint, upstream));
      if (proven_by_traffic(*upstream)) {
        report(endpoint, upstream->config().name, fleet::ProbeResult::token);
      } else {
        http::spawn(net_, probe(endpoint, std::move(upstream)));
      }
    }
    co_await net_.sleep_until(now + kLook);
  }
}

bool Prober::proven_by_traffic(const Upstream& upstream) const {
  const Instant last = upstream.last_token();
  return last != Instant::min() && net_.now() - last < shared_.settings().health.probe_interval;
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

bool Prober::wants_defaults(fleet::EndpointId endpoint, const Upstream& upstream, Instant now) {
  const auto last = learnt_.find(endpoint);
  return upstream.dialect().engine == EngineKind::llama_cpp &&
         (last == learnt_.end() || now - last->second >= kLearnEvery);
}

http::Task<void> Prober::learn_defaults(fleet::EndpointId endpoint, std::shared_ptr<Upstream> asked) {
  const auto& upstream = *asked;
  const Instant now = net_.now();
  const auto timeout = shared_.settings().health.probe_timeout;
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

http::Task<void> Prober::probe(fleet::EndpointId endpoint, std::shared_ptr<Upstream> upstream) {
  const auto view = view_of(endpoint);
  if (!view) co_return;
  report(endpoint, upstream->config().name, co_await generate_token(*upstream, *view));
}

std::optional<fleet::MemberView> Prober::view_of(fleet::EndpointId endpoint) {
  return shared_.fleet([&](const fleet::Fleet& fleet) {
    return fleet.has(endpoint) ? std::optional(fleet.view(endpoint, net_.now())) : std::nullopt;
  });
}

http::Task<fleet::ProbeResult> Prober::generate_token(Upstream& upstream, fleet::MemberView view) {
  const std::string body =
      fmt::format(R"({{"model":{},"messages":[{{"role":"user","content":"ping"}}],"{}":1,"temperature":0}})",
                  protocol::quoted(model_of(view)), upstream.dialect().chat_limit_field);
  const auto head = head_of(upstream, "POST", "/v1/chat/completions");
  const auto timeout = shared_.settings().health.probe_timeout * (view.in_flight > 0 ? kPatienceWhenBusy : 1);
  const http::CallOptions options{
      .first_byte = timeout, .idle = timeout, .deadline = net_.now() + timeout, .idempotent = true};

  http::Call call(client_);
  if (const auto sent = co_await call.send(upstream.address(), head, body, options); !sent) {
    switch (sent.error().kind) {
      case http::CallFailure::exhausted:
        shared_.note_exhausted(upstream, sent.error().message, net_.now());
        co_return fleet::ProbeResult::untried;
      case http::CallFailure::connect:
        co_return fleet::ProbeResult::refused;
      default:
        co_return fleet::ProbeResult::failed;
    }
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

void Prober::report(fleet::EndpointId endpoint, const std::string& name, fleet::ProbeResult result) {
  const auto old = view_of(endpoint);
  shared_.fleet([&](fleet::Fleet& fleet) { fleet.on_probe(endpoint, result, net_.now()); });
  const auto known = view_of(endpoint);
  if (!old || !known) return;
  const auto before = old->state, after = known->state;
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
