// SPDX-License-Identifier: Apache-2.0
// The way of results from the inference thread to the coroutine that answers the client.
// Thread safety: deliver(), wanted() and has_room() from the inference thread, the rest from the network's.
// Invariant: holds at most about kBound deliveries for each choice: whoever reads slowly slows down its own
// answer and nothing else.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "http/signal.h"
#include "worker/job.h"

namespace truekeel::worker {

/// One token of one choice, or its ending.
struct Delivery {
  std::uint32_t choice = 0;
  TokenRecord record;
  std::string text;
  std::optional<Ending> ending;
};

class Mailbox : public std::enable_shared_from_this<Mailbox> {
 public:
  /// A second's worth of tokens for a fast model: a reader seldom lags by more without having stopped.
  static constexpr std::size_t kBound = 256;

  explicit Mailbox(boost::asio::io_context& context) : context_(context), arrived_(context) {}

  /// Where the job of one choice delivers. Keeps the mailbox alive.
  [[nodiscard]] std::shared_ptr<Sink> sink(std::uint32_t choice);

  /// Whatever has arrived, at least one delivery unless the mailbox is closed.
  [[nodiscard]] http::Task<std::vector<Delivery>> take();

  /// Nobody reads any more: jobs that deliver here are dropped.
  void close();

 private:
  class ChoiceSink;
  void deliver(Delivery delivery);

  boost::asio::io_context& context_;
  http::Signal arrived_;
  std::atomic<bool> closed_ = false;
  std::atomic<std::size_t> waiting_ = 0;
  std::mutex mutex_;
  std::vector<Delivery> deliveries_;  // guarded by mutex_
};

/// Closes a mailbox at the end of its reader's scope.
class MailboxCloser {
 public:
  explicit MailboxCloser(Mailbox& mailbox) : mailbox_(mailbox) {}
  ~MailboxCloser() { mailbox_.close(); }
  MailboxCloser(const MailboxCloser&) = delete;
  MailboxCloser& operator=(const MailboxCloser&) = delete;

 private:
  Mailbox& mailbox_;
};

}  // namespace truekeel::worker
