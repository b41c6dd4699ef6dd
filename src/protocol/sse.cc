// SPDX-License-Identifier: Apache-2.0
#include "protocol/sse.h"

#include <algorithm>

namespace truekeel::protocol {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

}  // namespace

void SseParser::push(std::string_view bytes) {
  if (block_ > 0) {
    buffer_.erase(0, block_);
    body_ -= block_;
    line_ -= block_;
    lf_ -= std::min(lf_, block_);
    cr_ -= std::min(cr_, block_);
    block_ = 0;
  }
  buffer_ += bytes;
}

/// The next whole line, without its end; moves line_ behind it.
std::optional<std::string_view> SseParser::next_line() {
  if (after_cr_ && line_ < buffer_.size()) {
    if (buffer_[line_] == '\n') {
      if (body_ == line_) ++body_;
      ++line_;
    }
    after_cr_ = false;
  }
  const std::string_view text = buffer_;
  lf_ = std::min(text.find('\n', std::max(lf_, line_)), text.size());
  cr_ = std::min(text.substr(0, lf_).find('\r', std::max(cr_, line_)), lf_);
  if (cr_ == text.size()) return std::nullopt;
  const std::string_view line = text.substr(line_, cr_ - line_);
  line_ = cr_ + 1;
  if (text[cr_] == '\r') {
    after_cr_ = line_ == text.size();
    if (!after_cr_ && text[line_] == '\n') ++line_;
  }
  return line;
}

void SseParser::take_field(std::string_view line) {
  const std::size_t colon = line.find(':');
  if (colon == 0) return;  // a comment
  const std::string_view name = line.substr(0, colon);
  std::string_view value =
      colon == std::string_view::npos ? line.substr(line.size()) : line.substr(colon + 1);
  if (value.starts_with(' ')) value.remove_prefix(1);

  const auto begin = static_cast<std::size_t>(value.data() - buffer_.data()) - block_;
  const TextRange range{begin, begin + value.size()};
  if (name == "data") {
    if (data_lines_ == 1) joined_ = data_.of(std::string_view(buffer_).substr(block_));
    if (data_lines_ >= 1) joined_.append(1, '\n').append(value);
    data_ = range;
    ++data_lines_;
  } else if (name == "event") {
    event_ = range;
  } else if (name == "id" && !value.contains('\0')) {
    id_ = value;
  }
}

SseBlock SseParser::finish_block() {
  const std::string_view raw = std::string_view(buffer_).substr(block_, line_ - block_);
  const SseBlock block{.is_event = data_lines_ > 0,
                       .event = event_.of(raw),
                       .data = data_lines_ > 1 ? std::string_view(joined_) : data_.of(raw),
                       .id = id_,
                       .raw = raw};
  block_ = body_ = line_;
  data_lines_ = 0;
  event_ = data_ = {};
  return block;
}

Result<std::optional<SseBlock>> SseParser::next() {
  if (at_start_) {
    if (buffer_.size() < kByteOrderMark.size() && kByteOrderMark.starts_with(buffer_)) return std::nullopt;
    at_start_ = false;
    if (buffer_.starts_with(kByteOrderMark)) line_ = kByteOrderMark.size();
  }
  while (!failed_) {
    const auto line = next_line();
    const char* end = line ? line->data() + line->size() : buffer_.data() + buffer_.size();
    failed_ = static_cast<std::size_t>(end - buffer_.data()) > body_ + block_bytes_max_;
    if (failed_) break;
    if (!line) return std::nullopt;
    if (line->empty()) return finish_block();
    take_field(*line);
  }
  return fail(ErrorCode::too_large,
              "an event of the stream is longer than " + std::to_string(block_bytes_max_) + " bytes");
}

std::string_view SseParser::rest() const { return std::string_view(buffer_).substr(block_); }

void append_sse(std::string& out, std::string_view event, std::string_view data) {
  if (!event.empty()) out.append("event: ").append(event).append(1, '\n');
  while (true) {
    const std::size_t end = data.find('\n');
    out.append("data: ").append(data.substr(0, end)).append(1, '\n');
    if (end == std::string_view::npos) break;
    data.remove_prefix(end + 1);
  }
  out += '\n';
}

}  // namespace truekeel::protocol
