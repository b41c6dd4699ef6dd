// SPDX-License-Identifier: Apache-2.0
// What the client keeps between calls: connections with their buffers, by endpoint. Thread safety: one
// thread. Invariant: a kept connection has no byte unread, and nobody waits on it.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "http/client.h"
#include "http/deadline.h"
#include "http/net.h"
#include "http/parser.h"

namespace truekeel::http {

/// A connection to a server, with all that a call on it needs: reusing one allocates nothing.
struct Wire {
  Wire(ClientCore& core, const Endpoint& endpoint);

  ClientCore& core;
  const Endpoint endpoint;
  const std::unique_ptr<Stream> stream;
  ResponseParser parser;
  Deadline deadline;
  std::vector<char> buffer;  ///< what one read takes; the piece of body that the caller sees lies in it
  std::string out;           ///< the request's head
  bool kept = false;         ///< in the pool
  bool reused = false;       ///< has carried a call before this one
  bool drained = true;       ///< all that was there is read: no use in trying before readable()
  bool expired = false;      ///< the deadline closed it
  bool clean = false;        ///< the request is sent in whole, and nothing came behind the answer
};

struct ClientCore {
  ClientCore(Net& n, ClientOptions o) : net(n), options(o) {}

  /// A kept connection that is still open, else a new one.
  std::unique_ptr<Wire> take(const Endpoint& endpoint, bool may_reuse);
  /// Keeps it, or closes it where there is no room.
  void keep(std::unique_ptr<Wire> wire);
  void on_deadline(Wire& wire);

  Net& net;
  const ClientOptions options;
  std::map<Endpoint, std::vector<std::unique_ptr<Wire>>> pools;  ///< each: the latest used one last
};

}  // namespace truekeel::http
