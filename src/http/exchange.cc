// SPDX-License-Identifier: Apache-2.0
// The answering half of a connection, and the Exchange that shows it to handlers.
#include <charconv>
#include <utility>

#include "base/assert.h"
#include "base/log.h"
#include "http/connection.h"

namespace truekeel::http {
namespace {

constexpr std::string_view kChunkEnd = "\r\n";
constexpr std::string_view kLastChunk = "0\r\n\r\n";
constexpr std::string_view kChunkEndAndLast = "\r\n0\r\n\r\n";

std::optional<std::uint64_t> stated_length(const Headers& headers) {
  const auto text = headers.find("content-length");
  if (!text) return std::nullopt;
  std::uint64_t length = 0;
  const auto [stop, error] = std::from_chars(text->begin(), text->end(), length);
  if (error != std::errc() || stop != text->end()) return std::nullopt;
  return length;
}

// What is left of the frames after their first `bytes` are written.
std::span<std::string_view> advance(std::span<std::string_view> frames, std::size_t bytes) {
  while (!frames.empty() && bytes >= frames.front().size()) {
    bytes -= frames.front().size();
    frames = frames.subspan(1);
  }
  if (bytes > 0) frames.front().remove_prefix(bytes);
  return frames;
}

}  // namespace

void Connection::put_head(int status, const Headers& headers, std::optional<std::uint64_t> body_bytes) {
  answer_ = Answer::begun;
  keep_ = keep_ && !core_->draining && !gone_;
  const bool head_request = parser_.head().method == "HEAD";
  std::optional<std::uint64_t> length = body_bytes;
  if (const auto stated = stated_length(headers); stated && (!length || head_request)) length = stated;
  if (status == 204 || status == 304) length = std::nullopt;

  if (head_request || status == 204 || status == 304) {
    framing_ = Framing::bodyless;
  } else if (length) {
    framing_ = Framing::length;
    length_left_ = *length;
  } else if (parser_.head().minor_version == 1) {
    framing_ = Framing::chunked;
  } else {
    framing_ = Framing::until_close;
    keep_ = false;
  }

  out_.clear();
  out_ += "HTTP/1.1 ";
  append_decimal(out_, static_cast<std::uint64_t>(status));
  out_.append(" ").append(reason_phrase(status)).append("\r\n");
  const HopByHop hop_by_hop(headers);
  for (const Field field : headers) {
    if (hop_by_hop(field.name) || equal_ignoring_case(field.name, "content-length")) continue;
    if (!append_field(out_, field)) log_warning("http.field_dropped", {{"status", status}});
  }
  if (core_->options.date && !headers.find("date")) {
    out_.append("date: ").append(core_->date()).append("\r\n");
  }
  if (length) {
    out_ += "content-length: ";
    append_decimal(out_, *length);
    out_ += "\r\n";
  }
  if (framing_ == Framing::chunked) out_ += "transfer-encoding: chunked\r\n";
  if (!keep_) {
    out_ += "connection: close\r\n";
  } else if (parser_.head().minor_version == 0) {
    out_ += "connection: keep-alive\r\n";
  }
  out_ += "\r\n";
}

// Lines up what write sends. False when the answer would not have the length that its head says.
bool Connection::put_pieces(std::span<const std::string_view> pieces, bool last) {
  TK_ASSERT(frames_.empty());  // one write at a time
  std::size_t bytes = 0;
  for (const std::string_view piece : pieces) bytes += piece.size();
  if (framing_ == Framing::bodyless) bytes = 0;
  if (framing_ == Framing::length) {
    if (bytes > length_left_) return false;
    length_left_ -= bytes;
    if (last && length_left_ > 0) return false;
  }
  const bool chunked = framing_ == Framing::chunked;
  // An empty chunk would end the body.
  if (chunked && bytes > 0) {
    append_hex(out_, bytes);
    out_ += "\r\n";
  }
  if (!out_.empty()) frames_.push_back(out_);
  if (bytes > 0) {
    for (const std::string_view piece : pieces) {
      if (!piece.empty()) frames_.push_back(piece);
    }
  }
  if (chunked && last) {
    frames_.push_back(bytes > 0 ? kChunkEndAndLast : kLastChunk);
  } else if (chunked && bytes > 0) {
    frames_.push_back(kChunkEnd);
  }
  return true;
}

Task<Result<void>> Connection::push() {
  bool waited = false;
  std::span<std::string_view> frames(frames_);
  while (!frames.empty() && phase_ == Phase::answering) {
    sent_ = true;
    const Attempt attempt = stream_->write_now(frames);
    if (attempt.state == Attempt::State::done) {
      frames = advance(frames, attempt.bytes);
    } else if (attempt.state == Attempt::State::would_block) {
      waited = true;
      deadline_.set(core_->net.now() + core_->options.idle);
      co_await stream_->writable();
    } else {
      cut();
    }
  }
  out_.clear();
  frames_.clear();
  if (phase_ != Phase::answering) co_return fail(ErrorCode::cancelled, "the client has left");
  if (waited) deadline_.clear();
  co_return Result<void>();
}

void Connection::start_answer(int status, const Headers& headers) {
  if (phase_ != Phase::answering) return;
  if (sent_) return abort();
  put_head(status, headers, std::nullopt);
}

Task<Result<void>> Connection::respond(int status, const Headers& headers, std::string_view body) {
  if (phase_ == Phase::answering && !sent_) {
    put_head(status, headers, body.size());
    return write({&body, 1}, true);
  }
  abort();
  return push();
}

Task<Result<void>> Connection::write(std::span<const std::string_view> pieces, bool last) {
  if (phase_ == Phase::answering && (answer_ != Answer::begun || !put_pieces(pieces, last))) {
    log(LogLevel::error, "http.answer_misframed");
    abort();
  }
  if (last) answer_ = Answer::whole;
  return push();
}

void Connection::abort() {
  on_gone_ = nullptr;
  if (phase_ != Phase::answering) return;
  // Where only the end of the connection ends the body, an orderly end would look like the whole.
  if (framing_ == Framing::until_close) stream_->reset();
  cut();
}

const RequestHead& Exchange::request() const { return connection_.parser_.head(); }
std::string& Exchange::body() { return connection_.parser_.body(); }

const std::string& Exchange::peer() const {
  if (connection_.peer_.empty()) connection_.peer_ = connection_.stream_->peer();
  return connection_.peer_;
}

Task<Result<void>> Exchange::respond(int status, const Headers& headers, std::string_view body) {
  return connection_.respond(status, headers, body);
}

void Exchange::start(int status, const Headers& headers) { connection_.start_answer(status, headers); }
Task<Result<void>> Exchange::flush() { return connection_.write({}, false); }

Task<Result<void>> Exchange::write(std::span<const std::string_view> pieces) {
  return connection_.write(pieces, false);
}

Task<Result<void>> Exchange::write(std::string_view piece) { return connection_.write({&piece, 1}, false); }
Task<Result<void>> Exchange::finish(std::string_view last) { return connection_.write({&last, 1}, true); }
void Exchange::abort() { connection_.abort(); }
bool Exchange::started() const { return connection_.sent_; }
bool Exchange::gone() const { return connection_.gone_; }

void Exchange::on_gone(std::function<void()> left) {
  connection_.on_gone_ = std::move(left);
  if (connection_.gone_) connection_.client_left();
}

}  // namespace truekeel::http
