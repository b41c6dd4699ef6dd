// SPDX-License-Identifier: Apache-2.0
// Tells another program of events, as of the beginning of incidents and of every change of their status:
// signed, in order, each until it is taken or given up. Thread safety: one thread; counts from any thread.
// Invariant: at most one call at a time; what waits is the event ring, which is bounded.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "gateway/event_ring.h"
#include "gateway/webhook_signature.h"
#include "http/client.h"
#include "http/url.h"

namespace truekeel::gateway {

struct WebhookSettings {
  int attempts = 8;
  Duration first_wait = std::chrono::seconds(1);  ///< before the second attempt; doubled each time
  Duration longest_wait = std::chrono::seconds(60);
  Duration timeout = std::chrono::seconds(10);
};

class Webhook {
 public:
  /// `net` and `events` are borrowed for life.
  Webhook(http::Net& net, const EventRing& events, http::Place place, WebhookKey key,
          WebhookSettings settings = {});

  /// Follows the ring from now on, for ever.
  http::Task<void> run();

  struct Counts {
    std::uint64_t delivered = 0, given_up = 0, missed = 0;
  };
  [[nodiscard]] Counts counts() const { return {delivered_, given_up_, missed_}; }
  [[nodiscard]] std::string metrics_text() const;

 private:
  http::Task<bool> deliver(const Event& event);
  http::Task<std::string> attempt(const Event& event, const std::string& body);

  http::Net& net_;
  const EventRing& events_;
  const http::Place place_;
  const WebhookKey key_;
  const WebhookSettings settings_;
  http::Client client_;
  std::uint64_t seen_;
  std::atomic<std::uint64_t> delivered_ = 0, given_up_ = 0, missed_ = 0;
};

}  // namespace truekeel::gateway
