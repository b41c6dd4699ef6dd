// SPDX-License-Identifier: Apache-2.0
// The line protocol of a sampler in another process: one JSON object a line. docs/conformance.md states it.
// Thread safety: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "conformance/sampler.h"

namespace truekeel::conformance {

inline constexpr int kProtocol = 1;

/// The kit's first line: asks for the semantics.
[[nodiscard]] std::string hello_line();

/// One call; `id` comes back with the answer. No line break at the end.
[[nodiscard]] std::string call_line(const Call& call, std::uint64_t id);

/// The answer to hello. Error::invalid_argument names the field that is missing or wrong.
[[nodiscard]] Result<Semantics> read_semantics(std::string_view line);

/// The draws of call `id`, steps x rows. Error::invalid_argument when the line is no such answer.
[[nodiscard]] Result<std::vector<Draw>> read_draws(std::string_view line, const Call& call, std::uint64_t id);

/// Steps by name, separated by commas, as in "top_k,top_p,temperature".
[[nodiscard]] Result<std::vector<Step>> read_chain(std::string_view text);

/// Semantics as read_semantics reads them.
[[nodiscard]] std::string semantics_json(const Semantics& semantics);

}  // namespace truekeel::conformance
