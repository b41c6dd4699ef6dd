// SPDX-License-Identifier: Apache-2.0
#include "base/read_file.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

namespace truekeel {
namespace {

std::unexpected<Error> unreadable(const std::string& path) {
  return fail(ErrorCode::io, fmt::format("{}: cannot be read: {}", path, std::strerror(errno)));
}

}  // namespace

Result<std::string> read_file(const std::string& path, std::size_t bytes_max) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), &std::fclose);
  if (!file) return unreadable(path);
  std::string text(bytes_max + 1, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  if (std::ferror(file.get()) != 0) return unreadable(path);
  return text;
}

}  // namespace truekeel
