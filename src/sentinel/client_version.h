// SPDX-License-Identifier: Apache-2.0
// The client library of a request as a value that may be stored and shown. Thread safety: pure functions.
#pragma once

#include <string>
#include <string_view>

namespace truekeel::sentinel {

/// "OpenAI/Python 2.1" of "OpenAI/Python 2.1.3 ..."; empty for what is not known: a header can hold anything,
/// secrets too, and slices are kept on disk.
[[nodiscard]] std::string client_version(std::string_view user_agent);

}  // namespace truekeel::sentinel
