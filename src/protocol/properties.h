// SPDX-License-Identifier: Apache-2.0
// What llama-server's /props says of itself: the parameters of a request that states none.
// Thread safety: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/error.h"

namespace truekeel::protocol {

struct ServerProperties {
  std::optional<double> temperature, top_p, min_p;
  std::optional<std::int64_t> top_k;
  /// Nothing else touches the distribution: no penalties, no samplers beyond these four, in llama.cpp's
  /// usual order.
  bool plain = false;
};

/// Error::invalid_argument when it is no such answer.
[[nodiscard]] Result<ServerProperties> read_llama_properties(std::string_view json);

}  // namespace truekeel::protocol
