// SPDX-License-Identifier: Apache-2.0
// Which call of which API a request line means. Thread safety: pure functions.
#pragma once

#include <string_view>

#include "protocol/errors.h"

namespace truekeel::gateway {

enum class Operation { chat, completions, messages, count_tokens, list_models, show_model };

struct Route {
  enum class Match { found, wrong_method, not_found };

  Match match = Match::not_found;
  Operation operation = Operation::chat;
  protocol::Provider provider = protocol::Provider::openai;  ///< whose shape an answer has, errors included
  std::string_view argument;                                 ///< show_model: the model's name
  std::string_view allow;                                    ///< the method that the path wants
};

/// Paths are taken with and without `/v1`; a query is ignored. `anthropic` tells that the client speaks
/// Anthropic's API (it sent anthropic-version), which decides the shape of an answer to an unknown path.
[[nodiscard]] Route find_route(std::string_view method, std::string_view target, bool anthropic);

/// The operation as OpenTelemetry names it (gen_ai.operation.name).
[[nodiscard]] std::string_view operation_name(Operation operation);

}  // namespace truekeel::gateway
