// SPDX-License-Identifier: Apache-2.0
// A simulated network and clock: in one process, from one seed, faults included. Equal seeds give equal runs.
// Thread safety: one thread, which calls run(). Invariant: time moves only when nothing is left to do at
// now().
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/philox.h"
#include "base/time.h"
#include "http/net.h"

namespace truekeel::http {

/// What goes wrong: each a probability for each event that it can befall; 0 is never.
struct SimFaults {
  Duration latency_min = std::chrono::microseconds(50);
  Duration latency_max = std::chrono::microseconds(50);
  Duration grain{};        ///< what arrives within so long arrives together, at its end; 0: each by itself
  double refused = 0;      ///< a dial is refused
  double lost = 0;         ///< a dial is never answered
  double reset = 0;        ///< a delivery becomes a reset, for both ends
  double cut = 0;          ///< a delivery becomes an orderly end for the reader, a reset for the writer
  double stalled = 0;      ///< from a delivery on, nothing more arrives in that direction; nobody is told
  double short_write = 0;  ///< a write takes only a part
  double short_read = 0;   ///< a read gives only a part
  std::size_t window_bytes = 64 << 10;  ///< sent and not yet read, in each direction
  double exhausted = 0;                 ///< a dial finds nothing left to connect with
};

/// Faults for one run of a simulation: each is absent in half of the runs, else up to what `most` says;
/// latency and window too vary up to theirs.
[[nodiscard]] SimFaults draw_faults(PhiloxStream& random, const SimFaults& most);

class SimWorld {
 public:
  explicit SimWorld(std::uint64_t seed, const SimFaults& faults = {});
  /// Requires: servers and clients in it are gone; lets their coroutines end.
  ~SimWorld();
  SimWorld(const SimWorld&) = delete;
  SimWorld& operator=(const SimWorld&) = delete;

  /// The net as the host of that name has it: it listens as itself, whatever the address; others dial the
  /// name.
  Net& host(const std::string& name);

  /// Runs until nothing is left to do, or until that time.
  void run(Instant until = Instant::max());
  [[nodiscard]] Instant now() const;

  /// From now on.
  void set_faults(const SimFaults& faults);
  /// As when its process dies: listeners vanish, connections are reset. The host may listen again.
  void kill(const std::string& name);

  /// Ends of connections that are open: zero when everybody has cleaned up.
  [[nodiscard]] std::size_t open_streams() const;
  /// A hash of what was delivered, and when: two runs of a seed agree.
  [[nodiscard]] std::uint64_t trace() const;

  struct State;

 private:
  const std::unique_ptr<State> state_;
};

}  // namespace truekeel::http
