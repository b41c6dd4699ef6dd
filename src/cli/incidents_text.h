// SPDX-License-Identifier: Apache-2.0
// Incidents, changes and request records in words, for people who do not program: one sentence, then the
// facts. Thread safety: pure functions.
#pragma once

#include <span>
#include <string>

#include "incident/incident.h"
#include "incident/request_record.h"

namespace truekeel::cli {

[[nodiscard]] std::string incident_text(const incident::Incident& incident);
[[nodiscard]] std::string change_line(const incident::Change& change);
[[nodiscard]] std::string request_text(const incident::RequestRecord& record);

/// "1 min 30 s"
[[nodiscard]] std::string duration_text(Duration duration);

}  // namespace truekeel::cli
