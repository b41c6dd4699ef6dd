// SPDX-License-Identifier: Apache-2.0
#include "gateway/attempt.h"

#include <fmt/format.h>

#include <algorithm>

#include "fleet/explain.h"
#include "gateway/stream_relay.h"
#include "gateway/upstream_request.h"
#include "protocol/anthropic.h"
#include "protocol/unasked.h"
#include "sentinel/client_version.h"

namespace truekeel::gateway {
namespace {

using fleet::Outcome;
using protocol::Provider;

/// 32,768 tokens with their top 20 logprobs are 52 MB.
constexpr std::size_t kAnswerBytesMax = 128u << 20;

/// Cancels the upstream call when the client leaves, for as long as the call lives.
class CancelWhenGone {
 public:
  CancelWhenGone(http::Exchange& exchange, http::Call& call) : exchange_(exchange) {
    exchange_.on_gone([&call] { call.cancel(); });
  }
  ~CancelWhenGone() {
    exchange_.on_gone([] {});
  }
  CancelWhenGone(const CancelWhenGone&) = delete;
  CancelWhenGone& operator=(const CancelWhenGone&) = delete;

 private:
  http::Exchange& exchange_;
};

bool is_event_stream(const http::Headers& headers) {
  constexpr std::string_view kType = "text/event-stream";
  const auto type = headers.find("content-type");
  return type && type->size() >= kType.size() &&
         http::equal_ignoring_case(type->substr(0, kType.size()), kType);
}

bool is_json(const http::Headers& headers) {
  return headers.find("content-type").value_or("").find("json") != std::string_view::npos;
}

/// What of an endpoint's headers the client gets: all end-to-end fields but those that describe the
/// endpoint's own connection or framing.
http::Headers passed_on(const http::Headers& upstream) {
  return http::end_to_end(upstream, {"content-length", "server", "date", "x-request-id"});
}

std::optional<std::uint64_t> tokens_drawn(const std::optional<protocol::Usage>& usage,
                                          std::optional<std::uint64_t> predicted) {
  return usage ? std::optional(usage->completion_tokens) : predicted;
}

/// Leaves a whole answer's records with the audit, and takes out of it what its client did not ask for.
void hand_to_audit(const sentinel::Look& look, const protocol::ResponseFacts& facts, std::string& body) {
  look.tap->take(body, facts);
  look.tap->end({.how = sentinel::AnswerEnd::How::complete,
                 .usage = facts.usage,
                 .drawn = tokens_drawn(facts.usage, facts.predicted),
                 .finish_reason = std::string(facts.finish_reason),
                 .fingerprint = std::string(facts.system_fingerprint)});
  if (facts.records.empty() || !look.plan.unasked.any()) return;
  std::string shown;
  shown.reserve(body.size());
  protocol::append_unasked(shown, body, facts, look.plan.unasked);
  body = std::move(shown);
}

/// How an answer ended of which the audit has seen no end. Of a whole one that did not come, tokens may have
/// been drawn; of a stream, what did come has been seen.
sentinel::AnswerEnd end_unseen(const Ask& ask, const AttemptResult& result) {
  using How = sentinel::AnswerEnd::How;
  if (ask.request.stream) return {.how = How::cut};
  const bool refused = result.outcome == Outcome::connect_failure || result.outcome == Outcome::exhausted ||
                       (result.outcome != Outcome::client_left && result.answer.status / 100 == 4);
  return {.how = refused ? How::refused : How::lost};
}

/// Of several attempts the last one's answer is the client's.
void note_audit(ClientCall& call, bool looked, std::string_view said) {
  call.record.request.signals.resize(1);
  call.record.request.signals[0] = {.signal = "audit", .looked = looked, .said = std::string(said)};
}

/// The server did not take the request as it was.
bool is_refused(const AttemptResult& result) { return !result.delivered && result.answer.status == 400; }

std::string message_id(const ClientCall& call) { return "msg_" + call.id.substr(call.id.find('_') + 1); }

}  // namespace

struct Attempt::Where {
  const fleet::Decision& decision;
  const fleet::Candidate& candidate;
  const std::shared_ptr<Upstream> upstream;  // not null: the call has begun there
  std::unique_ptr<sentinel::Look> look;      // where the answer is audited
  bool with_limit = false;                   // the limit of output is ours
};

WholeAnswer error_answer(const ClientCall& call, const protocol::ApiError& error) {
  const auto provider = call.route.provider;
  WholeAnswer answer{.status = error.status,
                     .headers = {{"content-type", "application/json"}},
                     .body = protocol::error_body(provider, error, call.id)};
  return answer;
}

void add_own_headers(const ClientCall& call, http::Headers& headers) {
  headers.set("x-truekeel-request-id", call.id);
  if (call.route.provider == Provider::anthropic) headers.set("request-id", call.id);
}

void OpenStreams::cancel_all() {
  closing_ = true;
  for (auto* call : calls_) call->cancel();
}

http::Task<AttemptResult> Attempt::run(ClientCall& call, const Ask& ask, const fleet::Decision& decision,
                                       const fleet::Candidate& candidate) {
  Where where{decision, candidate, shared_.upstream(candidate.endpoint), {}, false};
  where.with_limit = decision.output.added && !where.upstream->refuses_limit();
  look_at(call, ask, where);
  auto result = co_await send(call, ask, where);
  if (is_refused(result)) result = co_await ask_without_added(call, ask, where, std::move(result));
  if (where.look && !where.look->tap->ended()) {
    const auto end = end_unseen(ask, result);
    where.look->tap->end(end);
    if (end.how == sentinel::AnswerEnd::How::refused) note_audit(call, false, "no token was drawn");
  }
  call.record.request.fingerprint = where.upstream->fingerprint();
  if (fleet::is_failure(result.outcome)) where.upstream->note_failure();
  shared_.fleet([&](fleet::Fleet& fleet) {
    fleet.end(candidate.endpoint, result.outcome, decision.affinity, net_.now());
  });
  co_return result;
}

http::Task<AttemptResult> Attempt::ask_without_added(ClientCall& call, const Ask& ask, Where& where,
                                                     AttemptResult result) {
  bool without_records = false;
  while (is_refused(result) && !call.exchange.gone()) {
    const auto error = protocol::read_error(400, result.answer.body);
    const auto speaks_of = [&](std::string_view field) {
      return error.param.find(field) != std::string::npos || error.message.find(field) != std::string::npos;
    };
    const bool of_records =
        where.look && !where.look->plan.edits.empty() && (speaks_of("logprob") || speaks_of("audit"));
    const bool of_limit = where.with_limit && speaks_of(limit_field(ask, *where.upstream));
    if (!of_records && !of_limit) break;
    if (where.look) where.look->tap->end({.how = sentinel::AnswerEnd::How::refused});
    where.look.reset();
    if (of_records) {
      without_records = true;
      note_audit(call, false, sentinel::name(sentinel::Skip::refused));
    } else {
      where.with_limit = false;
      where.upstream->refuse_limit();
      // The answer may be longer now.
      if (!without_records) look_at(call, ask, where);
    }
    result = co_await send(call, ask, where);
  }
  // A 400 that stays shows that the one before was for something of the client's.
  if (without_records && !is_refused(result)) shared_.sentinel().refuse(where.candidate.endpoint);
  co_return result;
}

void Attempt::look_at(ClientCall& call, const Ask& ask, Where& where) {
  auto look = admit(call, ask, where);
  if (!look) return note_audit(call, false, sentinel::name(look.error()));
  note_audit(call, true,
             "what its server said of its tokens went into the evidence; no single answer is judged");
  where.look = std::move(*look);
}

std::expected<std::unique_ptr<sentinel::Look>, sentinel::Skip> Attempt::admit(const ClientCall& call,
                                                                              const Ask& ask,
                                                                              const Where& where) {
  auto& sentinel = shared_.sentinel();
  // First of all: what follows is of no use to most answers where the share is small.
  if (!sentinel.draw(where.candidate.endpoint, random_.next()))
    return std::unexpected(sentinel::Skip::sampled_out);
  const auto& served = where.decision.model->classes[where.candidate.class_index];
  sentinel::Admission about{.context_class = served.name,
                            .window = served.max_tokens,
                            .fingerprint = where.upstream->fingerprint(),
                            .client_version = sentinel::client_version(
                                call.exchange.request().headers.find("user-agent").value_or("")),
                            .prompt = where.decision.prompt};
  about.output_most = where.decision.output.tokens;
  if (where.decision.output.added && !where.with_limit) about.output_most = served.max_tokens;
  about.client = call.client;
  about.session = where.decision.affinity.hash;
  about.streamed = ask.request.stream;
  return sentinel.admit({.request = ask.request,
                         .body = ask.body,
                         .endpoint = where.candidate.endpoint,
                         .model = *where.decision.model,
                         .about = std::move(about)},
                        net_.now());
}

http::Task<AttemptResult> Attempt::send(ClientCall& call, const Ask& ask, const Where& where) {
  const Instant now = net_.now();
  http::CallOptions options{.first_byte = where.upstream->config().timeout,
                            .idle = shared_.settings().limits.idle,
                            .deadline = now + where.upstream->config().timeout,
                            // As for retries: generating twice does no harm but cost.
                            .idempotent = true};
  std::optional<Duration> time_left;
  if (call.deadline) {
    options.deadline = std::min(options.deadline, *call.deadline);
    time_left = *call.deadline - now;
  }
  const auto credentials = shared_.has_clients() ? ClientCredentials::keep : ClientCredentials::pass_on;
  const auto head =
      upstream_head(ask, call.exchange.request().headers, *where.upstream, credentials, call.id, time_left);
  const auto added = where.look ? std::span<const protocol::JsonEdit>(where.look->plan.edits)
                                : std::span<const protocol::JsonEdit>();
  const fleet::OutputLimit output{.tokens = where.decision.output.tokens, .added = where.with_limit};
  const auto edited = edited_body(ask, output, *where.upstream, added);
  const std::string& body = edited ? *edited : ask.body;
  http::Call upstream_call(client_);
  const CancelWhenGone cancel(call.exchange, upstream_call);
  if (const auto sent = co_await upstream_call.send(where.upstream->address(), head, body, options); !sent) {
    co_return failed(call, where, sent.error());
  }
  const auto& answer = upstream_call.head();
  if (answer.status == 200 && is_event_stream(answer.headers)) {
    co_return co_await stream(call, ask, where, upstream_call);
  }
  co_return co_await whole(call, ask, where, upstream_call);
}

http::Task<AttemptResult> Attempt::whole(ClientCall& call, const Ask& ask, const Where& where,
                                         http::Call& upstream_call) {
  auto body = co_await upstream_call.read_all(kAnswerBytesMax);
  if (!body) co_return failed(call, where, body.error());
  const int status = upstream_call.head().status;
  AttemptResult result{
      .outcome = fleet::outcome_of_status(status),
      .answer = {
          .status = status, .headers = passed_on(upstream_call.head().headers), .body = std::move(*body)}};
  auto& answer = result.answer;
  if (status >= 300) {
    // Only JSON that the client's API knows is passed on; an HTML page of some proxy is not.
    if (call.route.provider == Provider::anthropic || !is_json(answer.headers)) {
      const auto error = protocol::read_error(status, answer.body);
      answer.body = protocol::error_body(call.route.provider, error, call.id);
      answer.headers.set("content-type", "application/json");
    }
    co_return result;
  }
  const auto facts = reader_.read(answer.body);
  if (!facts) co_return failed(call, where, {http::CallFailure::protocol, facts.error().message});
  note_output(call, where);
  where.upstream->note_fingerprint(facts->system_fingerprint);
  if (where.look) hand_to_audit(*where.look, *facts, answer.body);
  if (const auto& usage = facts->usage) {
    call.record.request.output_tokens = usage->completion_tokens;
    call.record.request.input_tokens = usage->prompt_tokens;
  }
  if (call.route.provider == Provider::anthropic) {
    protocol::JsonParser parser;
    auto message = protocol::anthropic_message(parser, answer.body, {message_id(call), ask.request.model});
    if (!message) {
      result.outcome = Outcome::garbled;
      answer = error_answer(call, message.error());
    } else {
      answer.body = std::move(*message);
    }
  }
  if (call.explain) {
    answer.headers.set("x-truekeel-explain",
                       fleet::explain_json(where.decision, where.candidate, where.upstream->fingerprint()));
  }
  co_return result;
}

http::Task<AttemptResult> Attempt::stream(ClientCall& call, const Ask& ask, const Where& where,
                                          http::Call& upstream_call) {
  auto headers = passed_on(upstream_call.head().headers);
  headers.set("cache-control", "no-cache");
  add_own_headers(call, headers);
  if (call.explain) {
    headers.set("x-truekeel-explain",
                fleet::explain_json(where.decision, where.candidate, where.upstream->fingerprint()));
  }
  const auto& prompt = where.decision.prompt;
  StreamRelay relay({.provider = call.route.provider,
                     .identity = {message_id(call), ask.request.model},
                     .request_id = call.id,
                     .choices = ask.request.n,
                     .input_tokens = prompt.exact() ? prompt.lower : 0,
                     .unasked = where.look ? where.look->plan.unasked : protocol::Unasked{},
                     .tap = where.look ? where.look->tap.get() : nullptr});
  call.record.request.status = 200;
  call.exchange.start(200, headers);
  AttemptResult result{.outcome = {}, .delivered = true, .answer = {}};
  streams_.calls_.insert(&upstream_call);
  result.outcome = co_await pump(call, where, upstream_call, relay);
  streams_.calls_.erase(&upstream_call);

  const auto& facts = relay.facts();
  where.upstream->note_fingerprint(facts.fingerprint);
  call.record.request.output_tokens = facts.usage ? facts.usage->completion_tokens : facts.output_events;
  if (facts.usage) call.record.request.input_tokens = facts.usage->prompt_tokens;
  if (facts.server_error) result.outcome = Outcome::server_error;
  if (where.look && result.outcome == Outcome::success) {
    where.look->tap->end({.how = sentinel::AnswerEnd::How::complete,
                          .usage = facts.usage,
                          .drawn = tokens_drawn(facts.usage, facts.predicted),
                          .finish_reason = facts.finish_reason,
                          .fingerprint = facts.fingerprint});
  }
  co_return result;
}

http::Task<Outcome> Attempt::pump(ClientCall& call, const Where& where, http::Call& upstream_call,
                                  StreamRelay& relay) {
  std::string out;
  while (true) {
    const auto piece = co_await upstream_call.read();
    out.clear();
    if (!piece) {
      relay.fail(describe(call, where, piece.error()), out);
      const bool there = (co_await call.exchange.finish(out)).has_value();
      co_return there ? outcome_of(call, piece.error()) : Outcome::client_left;
    }
    if (piece->empty()) {
      const bool complete = relay.end(out);
      const bool there = (co_await call.exchange.finish(out)).has_value();
      if (!complete) co_return Outcome::garbled;
      co_return there ? Outcome::success : Outcome::client_left;
    }
    if (const auto pushed = relay.push(*piece, out); !pushed) {
      relay.fail({.status = 502, .message = pushed.error().message, .param = {}, .code = "upstream_garbled"},
                 out);
      static_cast<void>(co_await call.exchange.finish(out));
      co_return Outcome::garbled;
    }
    if (relay.facts().output_events > 0) note_output(call, where);
    if (out.empty()) continue;
    if (!co_await call.exchange.write(out)) co_return Outcome::client_left;
  }
}

AttemptResult Attempt::failed(const ClientCall& call, const Where& where,
                              const http::CallError& error) const {
  AttemptResult result{.outcome = outcome_of(call, error),
                       .delivered = false,
                       .answer = error_answer(call, describe(call, where, error))};
  if (result.outcome == Outcome::exhausted) {
    result.answer.headers.set("retry-after", "1");
    shared_.metrics().on_shed(call.record.request.pool, to_string(result.outcome));
    shared_.note_exhausted(*where.upstream, error.message, net_.now());
  }
  return result;
}

protocol::ApiError Attempt::describe(const ClientCall& call, const Where& where,
                                     const http::CallError& error) const {
  const auto& name = where.upstream->config().name;
  if (streams_.closing_) {
    return {.status = 503,
            .message = "the gateway is shutting down; send the request again",
            .param = {},
            .code = "shutting_down"};
  }
  switch (outcome_of(call, error)) {
    case Outcome::connect_failure:
      return {.status = 502,
              .message = fmt::format("inference server {} cannot be reached", name),
              .param = {},
              .code = "upstream_unreachable"};
    case Outcome::exhausted:
      return {.status = 503,
              .message = "the gateway can open no further connection; try again",
              .param = {},
              .code = "overloaded"};
    case Outcome::timeout:
      return {.status = 504,
              .message = fmt::format("inference server {} did not answer in time", name),
              .param = {},
              .code = "upstream_timeout"};
    case Outcome::client_left:
      return {.status = 504,
              .message = "the deadline of the request has passed",
              .param = {},
              .code = "deadline_exceeded"};
    case Outcome::garbled:
      return {.status = 502,
              .message = fmt::format("inference server {} sent what is no valid answer", name),
              .param = {},
              .code = "upstream_garbled"};
    default:
      return {.status = 502,
              .message = fmt::format("the connection to inference server {} broke", name),
              .param = {},
              .code = "upstream_cut"};
  }
}

Outcome Attempt::outcome_of(const ClientCall& call, const http::CallError& error) const {
  switch (error.kind) {
    case http::CallFailure::invalid:
      return Outcome::client_fault;
    case http::CallFailure::exhausted:
      return Outcome::exhausted;
    case http::CallFailure::connect:
    case http::CallFailure::connect_timeout:
      return Outcome::connect_failure;
    case http::CallFailure::no_response:
    case http::CallFailure::broken:
      return Outcome::reset;
    case http::CallFailure::first_byte_timeout:
    case http::CallFailure::idle_timeout:
      // A deadline that the client set says nothing of the server.
      return call.deadline && net_.now() >= *call.deadline ? Outcome::client_left : Outcome::timeout;
    case http::CallFailure::protocol:
      return Outcome::garbled;
    case http::CallFailure::cancelled:
      return Outcome::client_left;
  }
  return Outcome::garbled;
}

void Attempt::note_output(ClientCall& call, const Where& where) const {
  const Instant now = net_.now();
  where.upstream->note_token(now);
  if (!call.record.first_token) call.record.first_token = now - call.arrived;
}

}  // namespace truekeel::gateway
