// SPDX-License-Identifier: Apache-2.0
// A lock between processes, so that one gateway alone writes to a store. Thread safety: an object serves one
// thread.
#pragma once

#include <string>
#include <utility>

#include "base/error.h"

namespace truekeel::store {

/// Held as long as the object lives, and no longer than the process, however that ends.
class FileLock {
 public:
  /// Creates `path` where it is not; the file stays. Error::unavailable when another holds the lock or the
  /// file cannot be made.
  [[nodiscard]] static Result<FileLock> take(const std::string& path);

  FileLock(FileLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  FileLock& operator=(FileLock&&) = delete;
  ~FileLock();

 private:
  explicit FileLock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

}  // namespace truekeel::store
