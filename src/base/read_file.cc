// SPDX-License-Identifier: Apache-2.0
#include "base/read_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

namespace truekeel {
namespace {

/// Then twice as much each time, so that memory follows the file and not the bound.
constexpr std::size_t kFirstRead = 1u << 14;

std::unexpected<Error> unreadable(const std::string& path) {
  return fail(ErrorCode::io, fmt::format("{}: cannot be read: {}", path, std::strerror(errno)));
}

}  // namespace

Result<std::string> read_file(const std::string& path, std::size_t bytes_max) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), &std::fclose);
  if (!file) return unreadable(path);
  std::string text;
  for (std::size_t size = 0, most = kFirstRead; size <= bytes_max; most *= 2) {
    text.resize(std::min(most, bytes_max + 1));
    const std::size_t wanted = text.size() - size;
    const std::size_t count = std::fread(text.data() + size, 1, wanted, file.get());
    size += count;
    text.resize(size);
    if (count < wanted) break;
  }
  if (std::ferror(file.get()) != 0) return unreadable(path);
  return text;
}

}  // namespace truekeel
