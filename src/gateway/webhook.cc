// SPDX-License-Identifier: Apache-2.0
#include "gateway/webhook.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "incident/incident_json.h"
#include "protocol/json.h"

namespace truekeel::gateway {
namespace {

constexpr Duration kLook = std::chrono::milliseconds(200);
constexpr std::size_t kAnswerBytesMax = 64 << 10;

}  // namespace

Webhook::Webhook(http::Net& net, const EventRing& events, http::Place place, WebhookKey key,
                 WebhookSettings settings)
    : net_(net),
      events_(events),
      place_(std::move(place)),
      key_(std::move(key)),
      settings_(settings),
      client_(net, {}),
      seen_(events.last()) {}

http::Task<void> Webhook::run() {
  while (true) {
    for (const auto& event : events_.after(seen_)) {
      missed_ += event.number - seen_ - 1;
      seen_ = event.number;
      const bool taken = co_await deliver(event);
      ++(taken ? delivered_ : given_up_);
    }
    co_await net_.sleep_until(net_.now() + kLook);
  }
}

http::Task<bool> Webhook::deliver(const Event& event) {
  const auto body = fmt::format(R"({{"type":{},"timestamp":"{}","data":{}}})", protocol::quoted(event.type),
                                incident::rfc3339(net_.wall_now()), event.data);
  Duration wait = settings_.first_wait;
  for (int number = 1;; ++number) {
    const auto failure = co_await attempt(event, body);
    if (failure.empty()) co_return true;
    const bool last = number >= settings_.attempts;
    log_warning(last ? "webhook.given_up" : "webhook.failed",
                {{"event", event.id}, {"attempt", number}, {"why", failure}});
    if (last) co_return false;
    co_await net_.sleep_until(net_.now() + wait);
    wait = std::min(2 * wait, settings_.longest_wait);
  }
}

/// Empty when the event was taken, else why not.
http::Task<std::string> Webhook::attempt(const Event& event, const std::string& body) {
  const auto timestamp =
      std::chrono::duration_cast<std::chrono::seconds>(net_.wall_now().time_since_epoch()).count();
  const http::RequestHead head{.method = "POST",
                               .target = place_.prefix.empty() ? "/" : place_.prefix,
                               .minor_version = 1,
                               .headers = {{"content-type", "application/json"},
                                           {"webhook-id", event.id},
                                           {"webhook-timestamp", fmt::format("{}", timestamp)},
                                           {"webhook-signature", key_.sign(event.id, timestamp, body)}}};
  // By its id the receiver knows an event that comes twice.
  const http::CallOptions options{.first_byte = settings_.timeout,
                                  .idle = settings_.timeout,
                                  .deadline = net_.now() + settings_.timeout,
                                  .idempotent = true};
  http::Call call(client_);
  if (const auto sent = co_await call.send(place_.endpoint, head, body, options); !sent) {
    co_return sent.error().message;
  }
  const int status = call.head().status;
  static_cast<void>(co_await call.read_all(kAnswerBytesMax));
  co_return status >= 200 && status < 300 ? std::string() : fmt::format("status {}", status);
}

std::string Webhook::metrics_text() const {
  std::string text =
      "# HELP truekeel_webhook_events_total Events by what became of them; missed ones waited too long.\n"
      "# TYPE truekeel_webhook_events_total counter\n";
  const auto now = counts();
  for (const auto& [name, value] : {std::pair("delivered", now.delivered),
                                    std::pair("given_up", now.given_up), std::pair("missed", now.missed)}) {
    text += fmt::format("truekeel_webhook_events_total{{end=\"{}\"}} {}\n", name, value);
  }
  return text;
}

}  // namespace truekeel::gateway
