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
#include "protocol/text_range.h"

namespace truekeel::protocol {

/// What stands between two blank lines. Views hold until the parser is called again.
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
  /// A block longer than this, its blank line aside, is an error: memory stays bounded whatever the peer
  /// sends. The default holds an event of 2,000 tokens with their top 20 logprobs (1.6 KB a token).
  static constexpr std::size_t kBlockBytesMax = 4u << 20;

  explicit SseParser(std::size_t block_bytes_max = kBlockBytesMax) : block_bytes_max_(block_bytes_max) {}

  /// Takes bytes as they arrive; any cut will do.
  void push(std::string_view bytes);

  /// The next complete block; nullopt when more bytes are needed. A block never waits for what follows it:
  /// where a cut parts the last CR from its LF, that LF leads the raw of the next block.
  /// Error::too_large when a block passes the limit; the parser then stays in error.
  [[nodiscard]] Result<std::optional<SseBlock>> next();

  /// Bytes of the unfinished block. By the standard such a block at the end of a stream is no event.
  [[nodiscard]] std::string_view rest() const;

 private:
  [[nodiscard]] std::optional<std::string_view> next_line();
  void take_field(std::string_view line);
  [[nodiscard]] SseBlock finish_block();

  const std::size_t block_bytes_max_;
  std::string buffer_;
  std::size_t block_ = 0;  ///< where the unfinished block begins; all before has been given out
  std::size_t body_ = 0;   ///< the same without the LF of the block before
  std::size_t line_ = 0;   ///< where its first line begins that has not been read
  std::size_t lf_ = 0;     ///< no LF stands from line_ up to here, nor CR from line_ up to cr_: each byte
  std::size_t cr_ = 0;     ///< is searched once, however small the pushes
  bool at_start_ = true;   ///< a byte order mark may still come
  bool after_cr_ = false;  ///< the last line ended by CR: an LF that comes now belongs to it
  bool failed_ = false;

  // Of the unfinished block; ranges count from block_.
  std::size_t data_lines_ = 0;
  TextRange event_, data_;
  std::string joined_;  ///< data of more than one line
  std::string id_;
};

/// Appends one event. Data of several lines becomes several data fields; an empty `event` writes none.
/// Requires: `event` holds no line break, `data` no CR (JSON holds neither).
void append_sse(std::string& out, std::string_view event, std::string_view data);

}  // namespace truekeel::protocol
