// SPDX-License-Identifier: Apache-2.0
// What is remembered of one request, to explain it: how it was routed and what the signals said. No content,
// no client, no session. Thread safety: a plain value.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"

namespace truekeel::incident {

/// What one signal did with a request.
struct SignalNote {
  std::string signal;
  bool looked = false;
  std::string said;  ///< what it found, or why it did not look

  bool operator==(const SignalNote&) const = default;
};

struct RequestRecord {
  std::string id;  ///< x-truekeel-request-id
  WallTime at{};   ///< its end
  std::string operation, model, context_class, pool, endpoint, fingerprint;
  std::string counted;  ///< how the prompt's length was known
  std::uint32_t status = 0;
  std::string end;  ///< ok, refused, upstream_error, cut, client_left
  std::uint32_t duration_ms = 0;
  std::optional<std::uint64_t> input_tokens;
  std::uint64_t output_tokens = 0;
  std::vector<SignalNote> signals;

  bool operator==(const RequestRecord&) const = default;
};

}  // namespace truekeel::incident
