// SPDX-License-Identifier: Apache-2.0
// One drill from its fleet's start to its report. Thread safety: the net's thread.
// Invariants: the gateway learns of the fault from its audit alone; every figure of the report was counted on
// real servers and clients.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/time.h"
#include "drill/plan.h"
#include "drill/report.h"
#include "drill/small_fleet.h"
#include "http/net.h"

namespace truekeel::drill {

struct Options {
  std::string kind;  ///< is_kind()
  std::uint64_t seed = 1;
  double rate = 0.008;
  FleetOptions fleet;
  Duration limit = std::chrono::seconds(600);  ///< for the whole drill; what is not known by then never was
  unsigned clients = 12;
  std::function<void(std::string_view phase)> progress;  ///< told often, to be shown
};

struct Outcome {
  Plan plan;
  Report report;
  std::string first_loss;  ///< why the first lost request was lost; empty without one
};

/// Error::unavailable when the fleet does not start, or a part of it ends by itself; Error::timeout when the
/// limit passes before a single faulty token; Error::cancelled soon after `interrupted` has become true.
[[nodiscard]] http::Task<Result<Outcome>> run(http::Net& net, Options options, const bool& interrupted);

}  // namespace truekeel::drill
