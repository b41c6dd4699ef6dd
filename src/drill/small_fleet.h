// SPDX-License-Identifier: Apache-2.0
// Four real workers and a real gateway as child processes, on ports of the kernel's choice, in a temporary
// folder. Thread safety: the net's thread. Invariant: nothing of it outlives it, neither process nor file.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "drill/child.h"
#include "http/net.h"

namespace truekeel::drill {

struct FleetOptions {
  std::string program;  ///< the truekeel to run
  std::string model;    ///< GGUF file
};

inline constexpr std::string_view kModelName = "drill";

class SmallFleet {
 public:
  SmallFleet(http::Net& net, FleetOptions options);
  /// Kills what still runs.
  ~SmallFleet();
  SmallFleet(const SmallFleet&) = delete;
  SmallFleet& operator=(const SmallFleet&) = delete;

  /// Returns when every server generates. Error::unavailable with the end of a log when one does not,
  /// Error::cancelled as soon as `cancelled` says so.
  [[nodiscard]] http::Task<Result<void>> start(std::function<bool()> cancelled);

  // Requires: started.
  [[nodiscard]] const http::Endpoint& gateway() const { return gateway_; }
  [[nodiscard]] const http::Endpoint& admin() const { return admin_; }
  [[nodiscard]] const http::Endpoint& worker(const std::string& name) const { return workers_.at(name); }

  /// A child that has ended, with the last lines of its log.
  [[nodiscard]] std::optional<Error> casualty();

  /// Asks all to end, and waits for a few seconds.
  [[nodiscard]] http::Task<void> stop();

 private:
  [[nodiscard]] Result<Child*> launch(std::string name, std::vector<std::string> arguments);
  [[nodiscard]] http::Task<Result<std::string>> word(Child& child, std::string_view mark,
                                                     const std::function<bool()>& cancelled);
  [[nodiscard]] Result<std::string> write_config(const std::map<std::string, std::string>& urls) const;

  http::Net& net_;
  const FleetOptions options_;
  std::string folder_;
  std::vector<std::unique_ptr<Child>> children_;
  std::map<std::string, http::Endpoint> workers_;
  http::Endpoint gateway_, admin_;
};

/// The gateway's configuration for workers at these URLs, by name.
[[nodiscard]] std::string config_yaml(const std::map<std::string, std::string>& urls,
                                      const std::string& model);

}  // namespace truekeel::drill
