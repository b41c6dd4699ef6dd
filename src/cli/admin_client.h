// SPDX-License-Identifier: Apache-2.0
// One call of a running gateway's admin API, for commands that ask it. Thread safety: none.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "http/fetch.h"

namespace truekeel::cli {

using AdminAnswer = http::Fetched;

inline constexpr const char* kDefaultAdmin = "http://127.0.0.1:9090";

/// `admin`: its URL. Error::unavailable, with what to do, when nobody answers there.
[[nodiscard]] Result<AdminAnswer> ask_admin(const std::string& admin, std::string_view method,
                                            const std::string& path, std::string_view body = {});

/// Prints why an answer is not what was asked for, and gives the exit code for it.
[[nodiscard]] int report_failure(std::string_view command, const Result<AdminAnswer>& answer);

/// The same where an answer cannot be read: another server, or another version.
[[nodiscard]] int report_stranger(std::string_view command, std::string_view why);

}  // namespace truekeel::cli
