// SPDX-License-Identifier: Apache-2.0
// Takes out of an answer what the gateway had asked for beside the client's own wishes, so that it looks as
// if nobody had. Thread safety: pure functions.
// Invariant: every other byte of the answer stays as it came.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "protocol/dialect.h"
#include "protocol/response_facts.h"

namespace truekeel::protocol {

/// What the client has not asked for.
struct Unasked {
  bool logprobs = false;
  bool audit = false;
  UnaskedLogprobs shown = UnaskedLogprobs::null_value;  ///< what the server shows who did not ask
  bool records_alone = false;  ///< the server sends events for the sake of a record alone

  [[nodiscard]] bool any() const { return logprobs || audit; }
};

/// Appends `json` without it. Requires: `facts` is what ResponseReader says of `json`.
void append_unasked(std::string& out, std::string_view json, const ResponseFacts& facts,
                    const Unasked& unasked);

/// An event that would not have been sent to who did not ask.
[[nodiscard]] bool only_for_records(const ResponseFacts& facts, const Unasked& unasked);

}  // namespace truekeel::protocol
