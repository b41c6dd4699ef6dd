// SPDX-License-Identifier: Apache-2.0
// Several things asked for at once, taken in the order in which they were asked for. Thread safety: one
// thread.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <utility>

#include "http/net.h"
#include "http/signal.h"

namespace truekeel::verify {

/// Runs job(0), job(1), ... at most `width` at a time, each begun only while more() holds; take(item) gets
/// every result, in the order of its number: what answers quickly must not count earlier. Returns when all
/// are taken. A slow one holds the others up once they are some way ahead, so that more() is not asked too
/// late. Requires: width > 0. The functions are borrowed until the return.
template <class Item, class More, class Job, class Take>
http::Task<void> in_order(http::Net& net, unsigned width, const More& more, const Job& job,
                          const Take& take) {
  const std::uint64_t lead_most = 4 * std::uint64_t{width};
  std::uint64_t next = 0, taken = 0;
  unsigned running = width;
  std::map<std::uint64_t, Item> waiting;
  std::deque<http::Signal> rooms;  // one for each who works: there is room to go ahead
  http::Signal over(net.context());
  const auto work = [&](http::Signal& room) -> http::Task<void> {
    while (more()) {
      if (next - taken >= lead_most) {
        co_await room.wait();
        continue;
      }
      const std::uint64_t number = next++;
      waiting.emplace(number, co_await job(number));
      for (auto first = waiting.begin(); first != waiting.end() && first->first == taken;
           first = waiting.erase(first), ++taken)
        take(std::move(first->second));
      for (http::Signal& each : rooms) each.notify();
    }
    if (--running == 0) over.notify();
  };
  for (unsigned i = 0; i < width; ++i) rooms.emplace_back(net.context());
  for (http::Signal& room : rooms) http::spawn(net, work(room));
  co_await over.wait();
}

}  // namespace truekeel::verify
