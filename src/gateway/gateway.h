// SPDX-License-Identifier: Apache-2.0
// The gateway as a whole: its io threads, the control thread (admin API, probes), start and shutdown.
// Thread safety: start() and stop() from the thread that owns it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "fleet/config.h"
#include "gateway/shared.h"

namespace truekeel::gateway {

struct GatewayOptions {
  unsigned io_threads = 2;
  std::string
      affinity_secret;  ///< empty: a random one, so that replicas disagree and a restart moves sessions
  std::uint64_t open_files = UINT64_MAX;  ///< that the process may have: clients never take all of them
};

class Gateway {
 public:
  /// Reads vocabularies, binds both ports, starts the threads. Error::unavailable when a port cannot be had,
  /// Error::not_found or Error::invalid_argument when the configuration names what is not there.
  [[nodiscard]] static Result<std::unique_ptr<Gateway>> start(
      const std::shared_ptr<const fleet::Config>& config, GatewayOptions options);
  ~Gateway();

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] std::uint16_t admin_port() const { return admin_port_; }

  /// Every context class can be served by its own pool.
  [[nodiscard]] bool complete();

  /// Reads certificates and clients' keys again; answers under way notice nothing. What is wrong stays as it
  /// was, and is in the error.
  Result<void> read_files_again();

  /// Goes over to other models and pools; answers under way notice nothing. Returns the other keys that
  /// differ, which need a restart. On an error all stays as it was.
  [[nodiscard]] Result<std::vector<std::string>> replace(fleet::Config wanted);

  /// Fails readiness, stops accepting, lets answers end until the limit, then ends streams with an error
  /// event. Returns when nothing is left.
  void stop();

 private:
  class IoThread;
  class ControlThread;
  Gateway() = default;
  Result<void> open(const fleet::Config& config, const GatewayOptions& options);

  std::unique_ptr<Shared> shared_;
  std::vector<std::unique_ptr<IoThread>> io_threads_;
  std::unique_ptr<ControlThread> control_;
  std::uint16_t port_ = 0;
  std::uint16_t admin_port_ = 0;
};

}  // namespace truekeel::gateway
