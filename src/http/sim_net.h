// SPDX-License-Identifier: Apache-2.0
// A simulated network and clock: in one process, from one seed, faults included. Equal seeds give equal runs.
// Thread safety: one thread, which runs run(). Invariant: time moves only when nothing is left to do at
// now().
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "base/time.h"
#include "http/net.h"

namespace truekeel::http {

/// What goes wrong, as probabilities for each event; zero is never. Drawn from the seed.
struct SimFaults {
  Duration latency_min = std::chrono::microseconds(50);
  Duration latency_max = std::chrono::microseconds(50);
  double refused = 0;                   ///< a dial is refused
  double lost = 0;                      ///< a dial is never answered
  double reset = 0;                     ///< a delivery becomes a reset of the connection
  double cut = 0;                       ///< a delivery becomes an orderly end: the rest is never sent
  double stalled = 0;                   ///< nothing more is delivered in this direction, and nobody is told
  double short_write = 0;               ///< only a part of a write is taken
  double short_read = 0;                ///< only a part of what is there is read
  std::size_t window_bytes = 64 << 10;  ///< sent and not yet read, for each direction
};

class SimWorld {
 public:
  explicit SimWorld(std::uint64_t seed, SimFaults faults = {});
  ~SimWorld();
  SimWorld(const SimWorld&) = delete;
  SimWorld& operator=(const SimWorld&) = delete;

  /// The view that the host of that name has: it listens as itself, and others dial it by that name.
  Net& host(const std::string& name);

  /// Runs until nothing is left to do, or `until` is reached. Returns the virtual time.
  Instant run(Instant until = Instant::max());
  [[nodiscard]] Instant now() const;

  /// From now on.
  void set_faults(const SimFaults& faults);
  /// The host's listeners vanish and its connections are reset, as when a process dies. It may listen again.
  void kill(const std::string& name);

  /// Streams open at either end: zero when everybody has cleaned up.
  [[nodiscard]] std::size_t open_streams() const;
  /// A hash of all that was delivered, and when: two runs of a seed must agree.
  [[nodiscard]] std::uint64_t trace() const;

  struct State;

 private:
  std::unique_ptr<State> state_;
};

}  // namespace truekeel::http
