// SPDX-License-Identifier: Apache-2.0
// Incremental HTTP/1.1 parsers: llhttp with its strict flags, and a gate above it for what it lets through.
// Thread safety: one thread. Invariant: the result does not depend on where the input was cut into pieces.
#pragma once

#include <llhttp.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "http/message.h"

namespace truekeel::http {

struct ParserLimits {
  std::size_t head_bytes = 64 << 10;  ///< first line and fields; trailers anew
  std::size_t fields = 128;
  std::size_t body_bytes = 64 << 20;
  std::size_t extension_bytes = 4 << 10;  ///< of all chunks of a message: nobody needs them
};

/// Why a message is refused: the status to answer with, and words for a person.
struct Rejection {
  int status = 0;
  std::string reason;
};

/// What both parsers share.
class MessageParser {
 public:
  enum class State : std::uint8_t { head, body, done, failed };

  MessageParser(const MessageParser&) = delete;
  MessageParser& operator=(const MessageParser&) = delete;

  [[nodiscard]] State state() const { return state_; }
  /// Whether any byte of the message has been seen.
  [[nodiscard]] bool started() const { return head_bytes_ > 0; }
  /// Whether the connection can carry another message after this one. Requires: the head is complete.
  [[nodiscard]] bool keep_alive() const { return keep_alive_; }
  /// Requires: state failed.
  [[nodiscard]] const Rejection& rejection() const { return rejection_; }

 protected:
  MessageParser(llhttp_type_t type, const ParserLimits& limits, Headers& headers);
  ~MessageParser() = default;

  void restart();
  /// Returns how many bytes belong to this message; fewer than all when it is complete or refused.
  std::size_t execute(const char* data, std::size_t size);
  /// Refuses the message; the first reason stays. Returns what a callback returns to stop llhttp.
  int reject(int status, std::string_view reason);
  int check_version_and_coding();

  virtual int on_target(std::string_view piece) = 0;
  /// Returns 0, or 1 when no body follows, or what reject() returned.
  virtual int on_head() = 0;
  virtual int on_body(std::string_view piece) = 0;
  /// True when another message follows in place of this one, which was interim.
  virtual bool on_complete() = 0;

  llhttp_t llhttp_;
  const ParserLimits limits_;
  State state_ = State::head;
  bool keep_alive_ = false;

 private:
  friend struct ParserCallbacks;
  int count_field();
  int count_trailer_text(std::size_t size);

  Headers& headers_;
  std::size_t head_bytes_ = 0;
  // Trailers are checked, counted and dropped.
  std::size_t trailer_fields_ = 0;
  std::size_t trailer_bytes_ = 0;
  std::size_t extension_bytes_ = 0;
  std::uint64_t body_bytes_ = 0;
  bool field_open_ = false;
  Rejection rejection_;
};

/// Requests, each with its whole body.
class RequestParser final : public MessageParser {
 public:
  explicit RequestParser(const ParserLimits& limits);

  /// Returns how many bytes were taken; the rest belongs to the next request.
  std::size_t feed(std::string_view bytes) { return execute(bytes.data(), bytes.size()); }
  /// Makes ready for the next request; head and body are emptied, their memory kept up to a modest size.
  void reset();
  /// Refuses the request for a reason that lies outside it.
  void refuse(int status, std::string_view reason) { reject(status, reason); }

  /// Complete from State::body on; while failed, as far as it was read.
  [[nodiscard]] const RequestHead& head() const { return head_; }
  /// Complete in State::done.
  [[nodiscard]] std::string& body() { return body_; }
  /// Whether the client waits for a 100 before it sends the body.
  [[nodiscard]] bool expects_continue() const { return expects_continue_; }

 private:
  int on_target(std::string_view piece) override;
  int on_head() override;
  int on_body(std::string_view piece) override;
  bool on_complete() override { return false; }
  int check_target_and_host();
  int check_expectation();

  RequestHead head_;
  std::string body_;
  bool expects_continue_ = false;
};

/// Answers; their body is squeezed in place, so that one read gives one piece, however it was chunked.
class ResponseParser final : public MessageParser {
 public:
  explicit ResponseParser(const ParserLimits& limits);

  struct Fed {
    std::size_t taken = 0;  ///< bytes that belong to this message
    std::string_view body;  ///< within `bytes`
  };
  Fed feed(std::span<char> bytes);
  /// The peer has ended the stream: completes a body that only ends so, fails what is cut short.
  void end();
  /// `head_request`: the answer has no body, whatever its fields say.
  void reset(bool head_request);

  /// Complete from State::body on. Interim answers (1xx) are skipped.
  [[nodiscard]] const ResponseHead& head() const { return head_; }

 private:
  int on_target(std::string_view) override { return 0; }
  int on_head() override;
  int on_body(std::string_view piece) override;
  bool on_complete() override;

  ResponseHead head_;
  bool head_request_ = false;
  char* squeezed_ = nullptr;  ///< where the next piece of body goes, during feed()
};

}  // namespace truekeel::http
