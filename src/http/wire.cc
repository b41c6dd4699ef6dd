// SPDX-License-Identifier: Apache-2.0
#include "http/wire.h"

#include <algorithm>
#include <utility>

#include "http/tls.h"

namespace truekeel::http {
namespace {

std::unique_ptr<Stream> dial(Net& net, const Endpoint& endpoint) {
  auto stream = net.dial(endpoint);
  return endpoint.tls ? endpoint.tls->dial(std::move(stream), endpoint.host) : std::move(stream);
}

// As much as a server's answer or a burst of events usually has; more takes more reads.
constexpr std::size_t kBufferBytes = 16 << 10;

}  // namespace

Wire::Wire(ClientCore& c, const Endpoint& e)
    : core(c),
      endpoint(e),
      stream(dial(core.net, endpoint)),
      parser(core.options.parser),
      deadline(core.net.deadlines(), [this] { core.on_deadline(*this); }),
      buffer(kBufferBytes) {}

std::unique_ptr<Wire> ClientCore::take(const Endpoint& endpoint, bool may_reuse) {
  if (const auto found = pools.find(endpoint); may_reuse && found != pools.end()) {
    auto& pool = found->second;
    while (!pool.empty()) {
      std::unique_ptr<Wire> wire = std::move(pool.back());
      pool.pop_back();
      wire->deadline.clear();
      wire->kept = false;
      // Anything but silence means that the server has closed it, or says what nobody asked for.
      if (wire->stream->read_now(wire->buffer).state != Attempt::State::would_block) continue;
      wire->reused = true;
      wire->drained = true;
      wire->clean = false;
      return wire;
    }
  }
  return std::make_unique<Wire>(*this, endpoint);
}

void ClientCore::keep(std::unique_ptr<Wire> wire) {
  auto& pool = pools[wire->endpoint];
  if (pool.size() >= options.kept_per_endpoint) return;
  wire->kept = true;
  wire->deadline.set(net.now() + options.kept);
  pool.push_back(std::move(wire));
}

void ClientCore::on_deadline(Wire& wire) {
  if (wire.kept) {
    std::erase_if(pools[wire.endpoint],
                  [&](const std::unique_ptr<Wire>& kept) { return kept.get() == &wire; });
    return;
  }
  wire.expired = true;
  wire.stream->close();
}

}  // namespace truekeel::http
