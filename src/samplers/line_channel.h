// SPDX-License-Identifier: Apache-2.0
// Lines to and from a peer over two file descriptors: bounded in length and time, never deadlocked by two
// full pipes. Thread safety: one thread at a time.
// Requires: SIGPIPE is ignored in this process, so that a peer's death is an error and not ours.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

#include "base/error.h"

namespace truekeel::samplers {

/// A file descriptor with one owner.
class Fd {
 public:
  explicit Fd(int fd = -1) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd();

  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

class LineChannel {
 public:
  /// Reads lines from `in` and writes to `out`; both become non-blocking. `line_max` bounds what is read.
  LineChannel(Fd in, Fd out, std::size_t line_max);

  /// Sends one line and returns the next that comes back, both without their line break. Error::timeout past
  /// the deadline; Error::unavailable when the peer closes; Error::too_large beyond line_max. After an error
  /// the channel is of no further use.
  [[nodiscard]] Result<std::string> exchange(std::string_view line,
                                             std::chrono::steady_clock::time_point deadline);

 private:
  [[nodiscard]] Result<bool> send_some(std::string_view& left);
  [[nodiscard]] Result<bool> receive_some();

  Fd in_, out_;
  const std::size_t line_max_;
  std::string received_;
};

}  // namespace truekeel::samplers
