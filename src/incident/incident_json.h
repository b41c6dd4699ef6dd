// SPDX-License-Identifier: Apache-2.0
// Incidents, changes and request records as JSON: one form for the database, the API, webhooks and the
// command line. Thread safety: pure functions. Times are RFC 3339 in UTC with milliseconds, unknown ones
// null.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "incident/incident.h"
#include "incident/request_record.h"

namespace truekeel::incident {

[[nodiscard]] std::string to_json(const Incident& incident);
/// Number, status, headline, traffic and times only: for lists.
[[nodiscard]] std::string to_json_brief(const Incident& incident);
[[nodiscard]] std::string to_json(const Change& change);
[[nodiscard]] std::string to_json(const RequestRecord& record);

/// A line of a list of incidents, as to_json_brief() tells it.
struct Brief {
  std::string id, status, detected, headline;
};
/// Read {"incidents": [...]} and {"changes": [...]}, as the API lists them. Errors as below.
[[nodiscard]] Result<std::vector<Brief>> briefs_from_json(std::string_view text);
[[nodiscard]] Result<std::vector<Change>> changes_from_json(std::string_view text);

/// Reads what to_json() wrote. Error::invalid_argument when the text is something else.
[[nodiscard]] Result<Incident> incident_from_json(std::string_view text);
[[nodiscard]] Result<Change> change_from_json(std::string_view text);
[[nodiscard]] Result<RequestRecord> request_record_from_json(std::string_view text);

/// A change as people post it: {"summary": ..., "kind", "at", "author", "link", "touches": {"version":
/// "v2"}}; all but the summary may be absent. Error::invalid_argument names the field and what it must be.
[[nodiscard]] Result<Change> posted_change(std::string_view text, WallTime now);

inline constexpr std::size_t kChangeTextMax = 500;  ///< bytes of each text of a posted change

/// True when a text fits into one line of a terminal or a log and steers neither: it has no control
/// characters, neither ASCII's nor those of Latin 1 as UTF-8 has them.
[[nodiscard]] bool is_plain_line(std::string_view text);

/// "2026-01-02T03:04:05.678Z"
[[nodiscard]] std::string rfc3339(WallTime at);
/// Accepts Z or an offset such as +02:00, and any number of digits for fractions of a second.
[[nodiscard]] Result<WallTime> time_from_rfc3339(std::string_view text);

}  // namespace truekeel::incident
