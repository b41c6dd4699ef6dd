// SPDX-License-Identifier: Apache-2.0
#include "select/local_transport.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"

namespace truekeel::select {

template <class F>
void LocalGroup::exchange(std::uint32_t rank, std::span<const std::byte> own, F&& f) {
  bytes_sent_.fetch_add(own.size(), std::memory_order_relaxed);
  shown_[rank] = own;
  barrier_.arrive_and_wait();
  f();
  barrier_.arrive_and_wait();
}

class LocalGroup::Endpoint final : public Transport {
 public:
  Endpoint(LocalGroup& group, std::uint32_t rank) : group_(group), rank_(rank) {}

  [[nodiscard]] std::uint32_t rank() const override { return rank_; }
  [[nodiscard]] std::uint32_t size() const override {
    return static_cast<std::uint32_t>(group_.shown_.size());
  }

  bool all_gather(std::span<const std::byte> own, std::span<std::byte> all) override {
    TK_ASSERT(all.size() == own.size() * size());
    group_.exchange(rank_, own, [&] {
      for (std::uint32_t other = 0; other < size(); ++other)
        std::ranges::copy(group_.shown_[other],
                          all.begin() + static_cast<std::ptrdiff_t>(own.size() * other));
    });
    return true;
  }

  bool all_reduce_sum(std::span<std::uint64_t> values) override {
    // Others read what this one shows, so the result needs a place of its own until they are done.
    result_.assign(values.begin(), values.end());
    group_.exchange(rank_, std::as_bytes(values), [&] {
      for (std::uint32_t other = 0; other < size(); ++other)
        if (other != rank_)
          for (std::size_t i = 0; i < values.size(); ++i) result_[i] += shown<std::uint64_t>(other)[i];
    });
    std::ranges::copy(result_, values.begin());
    return true;
  }

  bool exclusive_scan(std::uint64_t& value) override {
    const std::uint64_t own = value;
    group_.exchange(rank_, std::as_bytes(std::span(&own, 1)), [&] {
      value = 0;
      for (std::uint32_t other = 0; other < rank_; ++other) value += shown<std::uint64_t>(other)[0];
    });
    return true;
  }

  bool broadcast(std::span<std::byte> bytes, std::uint32_t root) override {
    const auto own = rank_ == root ? std::span<const std::byte>(bytes) : std::span<const std::byte>();
    group_.exchange(rank_, own, [&] {
      if (rank_ != root) std::ranges::copy(group_.shown_[root], bytes.begin());
    });
    return true;
  }

 private:
  template <class T>
  [[nodiscard]] const T* shown(std::uint32_t rank) const {
    return reinterpret_cast<const T*>(group_.shown_[rank].data());
  }

  LocalGroup& group_;
  const std::uint32_t rank_;
  std::vector<std::uint64_t> result_;
};

LocalGroup::LocalGroup(std::uint32_t size) : barrier_(size), shown_(size) {
  TK_ASSERT(size > 0);
  for (std::uint32_t rank = 0; rank < size; ++rank)
    endpoints_.push_back(std::make_unique<Endpoint>(*this, rank));
}

LocalGroup::~LocalGroup() = default;

Transport& LocalGroup::endpoint(std::uint32_t rank) { return *endpoints_.at(rank); }

}  // namespace truekeel::select
