// SPDX-License-Identifier: Apache-2.0
#include "worker/mailbox.h"

#include <boost/asio/post.hpp>
#include <utility>

namespace truekeel::worker {

class Mailbox::ChoiceSink final : public Sink {
 public:
  ChoiceSink(std::shared_ptr<Mailbox> mailbox, std::uint32_t choice)
      : mailbox_(std::move(mailbox)), choice_(choice) {}

  void token(TokenRecord record, std::string text) override {
    mailbox_->deliver({choice_, std::move(record), std::move(text), std::nullopt});
  }
  void end(const Ending& ending, std::string text) override {
    mailbox_->deliver({choice_, {}, std::move(text), ending});
  }
  [[nodiscard]] bool wanted() const override { return !mailbox_->closed_; }
  [[nodiscard]] bool has_room() const override { return mailbox_->waiting_ < kBound; }

 private:
  const std::shared_ptr<Mailbox> mailbox_;
  const std::uint32_t choice_;
};

std::shared_ptr<Sink> Mailbox::sink(std::uint32_t choice) {
  return std::make_shared<ChoiceSink>(shared_from_this(), choice);
}

void Mailbox::deliver(Delivery delivery) {
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    first = deliveries_.empty();
    deliveries_.push_back(std::move(delivery));
    waiting_ = deliveries_.size();
  }
  // Once is enough until the reader has come.
  if (first) boost::asio::post(context_, [self = shared_from_this()] { self->arrived_.notify(); });
}

http::Task<std::vector<Delivery>> Mailbox::take() {
  while (!closed_) {
    {
      const std::lock_guard lock(mutex_);
      if (!deliveries_.empty()) {
        waiting_ = 0;
        co_return std::exchange(deliveries_, {});
      }
    }
    co_await arrived_.wait();
  }
  co_return std::vector<Delivery>{};
}

void Mailbox::close() {
  closed_ = true;
  arrived_.notify();
}

}  // namespace truekeel::worker
