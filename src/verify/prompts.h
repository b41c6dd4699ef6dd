// SPDX-License-Identifier: Apache-2.0
// The prompts that a verification sends: its own, made from a seed, so that nobody's text is needed and no
// two of a run are alike. Thread safety: pure functions.
#pragma once

#include <cstdint>
#include <string>

namespace truekeel::verify {

/// A request for some lines of text, in varied styles and scripts. `index` numbers the prompts of a run.
[[nodiscard]] std::string short_prompt(std::uint64_t seed, std::uint64_t index);

/// A report of about this many words with a question behind it; a word is some 1.3 tokens.
[[nodiscard]] std::string long_prompt(std::uint64_t seed, std::uint64_t index, std::size_t words);

/// Sentences of about this many words, for scoring as they stand.
[[nodiscard]] std::string prose(std::uint64_t seed, std::uint64_t index, std::size_t words);

}  // namespace truekeel::verify
