// SPDX-License-Identifier: Apache-2.0
// The worker as a service: routes, readiness, orderly end. Thread safety: the network's thread.
// Invariant: ready means that a token was generated lately, never merely that a port is open.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/time.h"
#include "engine/engine.h"
#include "http/server.h"
#include "worker/exactness.h"
#include "worker/fault.h"
#include "worker/scheduler.h"

namespace truekeel::worker {

struct ServiceOptions {
  std::string model;            ///< the name that requests give
  std::uint32_t queue = 64;     ///< choices that may wait for a slot
  std::uint32_t width_max = 1;  ///< of a decode step
  Exactness exactness;
  SelectionOptions selection;
  std::uint32_t given_piece = kGivenPiece;  ///< tokens of a score or a fast replay that are computed at once
  FaultInjector* faults = nullptr;          ///< of a drill, which may switch them; borrowed for life
};

class Service {
 public:
  /// `net` and `engine` are borrowed for life; the engine belongs to the service's own thread from now on.
  Service(http::Net& net, engine::Engine& engine, const ServiceOptions& options);
  ~Service();
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  /// Starts to serve, and returns the port.
  [[nodiscard]] Result<std::uint16_t> listen(const http::Endpoint& at);

  /// Generates a token; returns when it is there.
  [[nodiscard]] http::Task<void> warm_up();

  /// Not ready from now on. Lets answers under way end; at the deadline, ends them with an error.
  [[nodiscard]] http::Task<void> drain(Instant deadline);

  /// "exact" when every decode width that is used has the bits of one slot alone, else "fast".
  [[nodiscard]] const std::string& replay() const;

 private:
  struct State;
  const std::unique_ptr<State> state_;
};

}  // namespace truekeel::worker
