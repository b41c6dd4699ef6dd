// SPDX-License-Identifier: Apache-2.0
#include "samplers/line_channel.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>

namespace truekeel::samplers {
namespace {

void make_non_blocking(int fd) { fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK); }

bool would_block() { return errno == EAGAIN || errno == EINTR; }

std::unexpected<Error> gone() {
  return fail(ErrorCode::unavailable, "the sampler's process closed its output");
}

}  // namespace

Fd::~Fd() {
  if (fd_ >= 0) close(fd_);
}

LineChannel::LineChannel(Fd in, Fd out, std::size_t line_max)
    : in_(std::move(in)), out_(std::move(out)), line_max_(line_max) {
  make_non_blocking(in_.get());
  make_non_blocking(out_.get());
}

Result<bool> LineChannel::send_some(std::string_view& left) {
  const ssize_t sent = write(out_.get(), left.data(), left.size());
  if (sent < 0 && !would_block()) return gone();
  if (sent > 0) left.remove_prefix(static_cast<std::size_t>(sent));
  return true;
}

Result<bool> LineChannel::receive_some() {
  std::array<char, 1 << 16> buffer;
  const ssize_t got = read(in_.get(), buffer.data(), buffer.size());
  if (got == 0 || (got < 0 && !would_block())) return gone();
  if (got > 0) received_.append(buffer.data(), static_cast<std::size_t>(got));
  if (received_.size() > line_max_)
    return fail(ErrorCode::too_large, fmt::format("the sampler's line is longer than {} bytes", line_max_));
  return true;
}

Result<std::string> LineChannel::exchange(std::string_view line,
                                          std::chrono::steady_clock::time_point deadline) {
  const std::string message = std::string(line) + '\n';
  std::string_view left = message;
  while (true) {
    if (const std::size_t end = received_.find('\n'); end != std::string::npos && left.empty()) {
      std::string answer = received_.substr(0, end);
      received_.erase(0, end + 1);
      return answer;
    }
    const auto remaining =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (remaining.count() <= 0) return fail(ErrorCode::timeout, "the sampler did not answer in time");
    // A negative descriptor is skipped: nothing left to send.
    std::array<pollfd, 2> fds = {{{in_.get(), POLLIN, 0}, {left.empty() ? -1 : out_.get(), POLLOUT, 0}}};
    if (poll(fds.data(), fds.size(), static_cast<int>(remaining.count())) < 0 && errno != EINTR)
      return fail(ErrorCode::io, "poll: " + std::generic_category().message(errno));
    if (fds[1].revents != 0)
      if (const auto sent = send_some(left); !sent) return std::unexpected(sent.error());
    if (fds[0].revents != 0)
      if (const auto got = receive_some(); !got) return std::unexpected(got.error());
  }
}

}  // namespace truekeel::samplers
