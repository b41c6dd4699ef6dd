// SPDX-License-Identifier: Apache-2.0
// What /metrics tells, in Prometheus' text format. Thread safety: the network's thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/time.h"
#include "worker/inference_thread.h"

namespace truekeel::worker {

class Metrics {
 public:
  /// `model` and `fingerprint` become labels of truekeel_worker_info.
  Metrics(std::string_view model, std::string_view fingerprint);
  ~Metrics();

  void answered(std::string_view route, int status);
  void first_token(Duration since_request);
  void finished(Duration since_request);

  [[nodiscard]] std::string text(const Counters& counters, bool ready) const;

 private:
  struct State;
  const std::unique_ptr<State> state_;
};

}  // namespace truekeel::worker
