// SPDX-License-Identifier: Apache-2.0
// Server-sent events (WHATWG HTML, 9.2): an incremental parser and a writer.
// Thread safety: an SseParser serves one thread at a time.
// Invariants: the `raw` of all blocks and rest(), in order, are the bytes pushed; where the input is cut
// into pushes changes neither event, data nor id of any block.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace truekeel::protocol {

/// What stands between two blank lines. Views hold until the next call of push().
struct SseBlock {
  /// False for a block without data, such as a keep-alive comment: pass it on, but it is no event.
  bool is_event = false;
  std::string_view event;  ///< its type; empty: the default, "message"
  std::string_view data;   ///< lines of data joined by \n
  std::string_view id;     ///< last event id; stays until a later block changes it
  std::string_view raw;    ///< the block as it came, blank line included; pass on unchanged
};

class SseParser {
 public:
  /// A block longer than this is an error: memory stays bounded whatever the peer sends. The default
  /// holds an event of 2,000 tokens with their top 20 logprobs (1.6 KB a token).
  static constexpr std::size_t kBlockBytesMax = 4u << 20;

  explicit SseParser(std::size_t block_bytes_max = kBlockBytesMax) : block_bytes_max_(block_bytes_max) {}

  /// Takes bytes as they arrive; any cut will do. Views given before become invalid.
  void push(std::string_view bytes);

  /// The next complete block; nullopt when more bytes are needed. A block is given as soon as its blank
  /// line ends; if that is by CR and the LF of a CRLF comes later, the LF leads the raw of the next one.
  /// Error::too_large when a block passes the limit; the parser then stays in error.
  [[nodiscard]] Result<std::optional<SseBlock>> next();

  /// Bytes of the unfinished block. By the standard such a block at the end of a stream is no event.
  [[nodiscard]] std::string_view rest() const;

 private:
  struct Line {
    std::size_t begin, end, next;
  };
  [[nodiscard]] std::optional<Line> next_line();
  void field(std::string_view line);
  [[nodiscard]] SseBlock finish_block();

  const std::size_t block_bytes_max_;
  std::string buffer_;
  std::size_t block_ = 0;  ///< where the unfinished block begins
  std::size_t line_ = 0;   ///< where its first unread line begins
  std::size_t lf_ = 0;     ///< bytes before this, from line_ on, hold no LF
  bool after_cr_ = false;  ///< the last line ended by CR: an LF that follows belongs to it
  bool at_start_ = true;   ///< a byte order mark may still come
  int data_lines_ = 0;
  std::string_view event_, data_;  ///< of the unfinished block, as positions in buffer_ or joined_
  std::string joined_;             ///< data of more than one line
  std::string id_;
};

/// Appends one event. Data of several lines becomes several data fields; an empty `event` writes none.
/// Requires: `event` holds no line break.
void append_sse(std::string& out, std::string_view event, std::string_view data);

}  // namespace truekeel::protocol
