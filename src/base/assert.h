// SPDX-License-Identifier: Apache-2.0
// Assertions of invariants: a broken one is a bug of ours. They stay on in release builds.
#pragma once

namespace truekeel {

/// Prints the broken invariant with its place, and aborts.
[[noreturn]] void assertion_failed(const char* condition, const char* file, int line);

}  // namespace truekeel

#define TK_ASSERT(condition) \
  ((condition) ? static_cast<void>(0) : ::truekeel::assertion_failed(#condition, __FILE__, __LINE__))
