// SPDX-License-Identifier: Apache-2.0
// The text of an answer as it may be shown while it grows. Thread safety: one thread.
// Invariants: what is given out is valid UTF-8, cut between characters; none of it belongs to a stop string;
// it does not depend on how the bytes were cut into pieces, and nothing is held back that need not be.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace truekeel::worker {

class TextStream {
 public:
  /// Requires: no stop string is empty.
  explicit TextStream(std::vector<std::string> stop) : stop_(std::move(stop)) {}

  /// Takes the bytes of the next token and returns what may be shown now. Bytes that cannot be part of a
  /// character become U+FFFD. Requires: not stopped.
  [[nodiscard]] std::string push(std::string_view bytes);

  /// Whether a stop string has appeared. The text before it has been given out, nothing more will be.
  [[nodiscard]] bool stopped() const { return stopped_; }

  /// The rest, when the answer ends for another reason. An unfinished character becomes U+FFFD.
  [[nodiscard]] std::string finish();

 private:
  [[nodiscard]] std::size_t held_back() const;

  const std::vector<std::string> stop_;
  std::string bytes_;  // the beginning of a character
  std::string text_;   // what may begin a stop string
  bool stopped_ = false;
};

}  // namespace truekeel::worker
