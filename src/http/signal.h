// SPDX-License-Identifier: Apache-2.0
// One coroutine waits, one event wakes it. Thread safety: one thread; from another one, post to the
// io_context and notify there.
// Invariant: a waiter resumes from the event loop, never within notify(): whoever notifies keeps the stage.
#pragma once

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <optional>
#include <utility>

#include "base/assert.h"
#include "http/net.h"

namespace truekeel::http {

class Signal {
 public:
  explicit Signal(boost::asio::io_context& context) : context_(context) {}
  Signal(const Signal&) = delete;
  Signal& operator=(const Signal&) = delete;

  /// Returns once notify() has been called since the last wait returned. Requires: nobody else waits.
  [[nodiscard]] Task<void> wait() {
    return boost::asio::async_initiate<const Token&, void()>(
        [this](Waiter waiter) {
          TK_ASSERT(!waiter_);
          if (std::exchange(notified_, false)) {
            boost::asio::post(context_, std::move(waiter));
          } else {
            waiter_.emplace(std::move(waiter));
          }
        },
        boost::asio::use_awaitable_t<Executor>());
  }

  /// Wakes the waiter, or the next one to come. Several calls before the wake-up count as one.
  void notify() {
    if (!waiter_) {
      notified_ = true;
      return;
    }
    Waiter waiter = std::move(*waiter_);
    waiter_.reset();
    boost::asio::post(context_, std::move(waiter));
  }

 private:
  using Executor = boost::asio::io_context::executor_type;
  using Token = boost::asio::use_awaitable_t<Executor>;
  using Waiter = boost::asio::async_result<Token, void()>::handler_type;

  boost::asio::io_context& context_;
  std::optional<Waiter> waiter_;
  bool notified_ = false;
};

}  // namespace truekeel::http
