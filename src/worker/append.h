// SPDX-License-Identifier: Apache-2.0
// Formatted text at the end of a string. Thread safety: pure function.
#pragma once

#include <fmt/format.h>

#include <iterator>
#include <string>
#include <utility>

namespace truekeel::worker {

template <class... Args>
void append(std::string& out, fmt::format_string<Args...> format, Args&&... args) {
  fmt::format_to(std::back_inserter(out), format, std::forward<Args>(args)...);
}

}  // namespace truekeel::worker
