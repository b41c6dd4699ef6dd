// SPDX-License-Identifier: Apache-2.0
#include "gateway/admission.h"

#include <boost/asio/post.hpp>
#include <memory>
#include <utility>

#include "http/deadline.h"
#include "http/signal.h"

namespace truekeel::gateway {
namespace {

/// A place in a queue, given up with this unless it was taken.
class Turn {
 public:
  Turn(http::Net& net, Shared& shared, fleet::Ticket ticket) : net_(net), shared_(shared), ticket_(ticket) {}
  ~Turn() { give_up(); }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

  /// Nothing when it has not come. Requires: called once.
  [[nodiscard]] std::optional<fleet::Placement> take() {
    waits_ = false;
    return shared_.fleet([this](fleet::Fleet& fleet) { return fleet.leave(ticket_); });
  }

  void give_up() {
    if (!waits_) return;
    waits_ = false;
    shared_.fleet([this](fleet::Fleet& fleet) {
      const auto turn = fleet.leave(ticket_);
      if (!turn || !*turn) return;
      const auto& decision = **turn;
      fleet.end(decision.order.front().endpoint, fleet::Outcome::client_left, decision.affinity, net_.now());
    });
  }

 private:
  http::Net& net_;
  Shared& shared_;
  const fleet::Ticket ticket_;
  bool waits_ = true;
};

std::expected<fleet::Decision, Rejection> placed(fleet::Placement placement) {
  if (!placement) return std::unexpected(as_rejection(placement.error()));
  return *std::move(placement);
}

}  // namespace

struct Admission::Waiter {
  explicit Waiter(boost::asio::io_context& context) : signal(context) {}
  http::Signal signal;
};

Rejection as_rejection(const fleet::Refusal& refusal) {
  const auto error = [&](const char* param, const char* code) {
    return Rejection{{refusal.status, refusal.message, param, code}, refusal.retry_after_s};
  };
  switch (refusal.kind) {
    case fleet::RefusalKind::context_length_exceeded:
      return error("messages", "context_length_exceeded");
    case fleet::RefusalKind::model_not_found:
      return error("model", "model_not_found");
    case fleet::RefusalKind::no_endpoint:
      return error("", "no_endpoint");
    case fleet::RefusalKind::overloaded:
      return error("", "overloaded");
  }
  return error("", "");
}

std::optional<Admission::Placed> Admission::place_now(const fleet::ContextPlan& plan,
                                                      const fleet::AffinityKey& key) {
  auto placement = shared_.fleet([&](fleet::Fleet& fleet) {
    const Instant now = net_.now();
    fleet.count_request(now);
    return fleet.place(plan, key, now);
  });
  if (!placement) return std::nullopt;
  return placed(std::move(*placement));
}

http::Task<Admission::Placed> Admission::wait_for_room(ClientCall& call, const fleet::ContextPlan& plan,
                                                       const fleet::AffinityKey& key) {
  const auto& pool = plan.model->classes[std::get<fleet::ClassChosen>(plan.outcome).index].pool;
  const auto waiter = std::make_shared<Waiter>(net_.context());
  // Called from any thread.
  const auto wake = [&context = net_.context(), weak = std::weak_ptr(waiter)] {
    boost::asio::post(context, [weak] {
      if (const auto there = weak.lock()) there->signal.notify();
    });
  };
  const auto waiting =
      shared_.fleet([&](fleet::Fleet& fleet) { return fleet.wait(plan, key, wake, net_.now()); });
  if (!waiting) {
    shared_.metrics().on_shed(pool, "queue_full");
    co_return std::unexpected(as_rejection(waiting.error()));
  }
  Turn turn(net_, shared_, waiting->ticket);
  const Instant since = net_.now();
  co_await until_woken(call, *waiter, waiting->until);
  call.record.waited = net_.now() - since;
  shared_.metrics().on_wait(waiting->pool, call.record.waited);
  if (call.exchange.gone() || closing_) {
    turn.give_up();
  } else if (auto placement = turn.take()) {
    co_return placed(std::move(*placement));
  } else {
    shared_.metrics().on_shed(pool, "waited_too_long");
  }
  co_return std::unexpected(too_late(call, *waiting));
}

http::Task<void> Admission::until_woken(ClientCall& call, Waiter& waiter, Instant until) {
  waiters_.insert(&waiter);
  http::Deadline deadline(net_.deadlines(), [&waiter] { waiter.signal.notify(); });
  deadline.set(std::min(until, call.deadline.value_or(until)));
  call.exchange.on_gone([&waiter] { waiter.signal.notify(); });
  if (!closing_) co_await waiter.signal.wait();
  call.exchange.on_gone([] {});
  waiters_.erase(&waiter);
}

Rejection Admission::too_late(const ClientCall& call, const fleet::Waiting& waiting) const {
  if (closing_) {
    return {{503, "the gateway is shutting down; send the request again", "", "shutting_down"}};
  }
  if (call.deadline && net_.now() >= *call.deadline) {
    return {{504, "the deadline of the request has passed", "", "deadline_exceeded"}};
  }
  return as_rejection(waiting.too_late);
}

void Admission::close() {
  closing_ = true;
  for (auto* waiter : waiters_) waiter->signal.notify();
}

}  // namespace truekeel::gateway
