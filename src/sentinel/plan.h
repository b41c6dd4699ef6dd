// SPDX-License-Identifier: Apache-2.0
// Whether the answer to a request can be audited, with which parameters, and what must be asked for on top.
// Decided by the request alone, before it is sent: what comes back may not decide whether it is looked at.
// Thread safety: pure functions.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "evidence/calibration.h"
#include "fleet/config.h"
#include "protocol/dialect.h"
#include "protocol/json_splice.h"
#include "protocol/openai_request.h"
#include "protocol/unasked.h"

namespace truekeel::sentinel {

/// Why an answer is not looked at. Everything here is known before it begins.
enum class Skip : std::uint8_t {
  sampled_out,          ///< the configured share
  dialect,              ///< the engine does not say what its logprobs mean
  refused,              ///< the server answered 400 to the fields that the audit needs
  several_answers,      ///< n > 1
  parameters,           ///< sampling that is not modelled: penalties, bias, grammar, unknown fields
  shared_seed,          ///< a stated seed may repeat, and then the draws do
  temperature_unknown,  ///< neither request, configuration nor server state it
  few_logprobs,         ///< the client asked for logprobs without alternatives
  older_lists,          ///< completions' logprobs in OpenAI's older shape
  busy,                 ///< too many answers are under way
};
inline constexpr std::size_t kSkips = 10;
[[nodiscard]] std::string_view name(Skip skip);

/// What a server does when a request is silent; nullopt: not known.
struct Defaults {
  std::optional<double> temperature, top_p, min_p;
  std::optional<std::int64_t> top_k;
  bool plain = true;  ///< false: by default it does something that is not modelled

  bool operator==(const Defaults&) const = default;
};

/// The configured ones first, then what the server says of itself.
[[nodiscard]] Defaults defaults_of(const fleet::SamplingDefaults& configured, const Defaults& server);

struct AuditPlan {
  evidence::Sampling sampling;
  std::vector<protocol::JsonEdit> edits;  ///< what the request lacks
  protocol::Unasked unasked;              ///< what the client must not see therefore
};

struct AuditWish {
  std::uint32_t top_logprobs = 20;
  std::uint32_t vocabulary = 0;  ///< 0: unknown
};

/// Requires: `request` was read of `body`.
[[nodiscard]] std::expected<AuditPlan, Skip> plan_audit(const protocol::OpenAiRequest& request,
                                                        std::string_view body,
                                                        const protocol::Dialect& dialect,
                                                        const Defaults& defaults, const AuditWish& wish);

/// Stands for a vocabulary of unknown size: larger than any. All bounds stay valid for it (docs/evidence.md).
inline constexpr std::uint32_t kVocabularyMost = 1u << 19;

}  // namespace truekeel::sentinel
