// SPDX-License-Identifier: Apache-2.0
#include "gateway/stream_relay.h"

#include <utility>

namespace truekeel::gateway {

using protocol::Provider;

namespace {

/// The block with what is in its data taken out; all around it stays.
void append_without_records(std::string& out, const protocol::SseBlock& block,
                            const protocol::ResponseFacts& facts, const protocol::Unasked& unasked) {
  const auto begin = static_cast<std::size_t>(block.data.data() - block.raw.data());
  if (block.data.data() < block.raw.data() || begin + block.data.size() > block.raw.size()) {
    // Data of several lines, which the parser has joined.
    std::string data;
    append_unasked(data, block.data, facts, unasked);
    return protocol::append_sse(out, block.event, data);
  }
  out += block.raw.substr(0, begin);
  append_unasked(out, block.data, facts, unasked);
  out += block.raw.substr(begin + block.data.size());
}

}  // namespace

StreamRelay::StreamRelay(Client client) : client_(std::move(client)) {
  if (client_.provider == Provider::anthropic) anthropic_.emplace(client_.identity, client_.input_tokens);
}

Result<void> StreamRelay::push(std::string_view bytes, std::string& out) {
  parser_.push(bytes);
  while (true) {
    const auto block = parser_.next();
    if (!block) return std::unexpected(block.error());
    if (!*block) return {};
    take(**block, out);
  }
}

void StreamRelay::take(const protocol::SseBlock& block, std::string& out) {
  const bool done = block.is_event && protocol::is_done(block.data);
  done_ = done_ || done;
  // What cannot be read is passed on as it is: the client is the judge.
  std::optional<protocol::ResponseFacts> facts;
  if (block.is_event && !done) {
    if (auto read = reader_.read(block.data)) facts = *read;
  }
  if (facts) note(block.data, *facts);
  if (anthropic_) {
    if (block.is_event) anthropic_->on_data(block.data, out);
  } else if (!facts || facts->records.empty() || !client_.unasked.any()) {
    out += block.raw;
  } else if (!protocol::only_for_records(*facts, client_.unasked)) {
    append_without_records(out, block, *facts, client_.unasked);
  }
}

void StreamRelay::note(std::string_view data, const protocol::ResponseFacts& facts) {
  if (facts.is_error) facts_.server_error = true;
  if (facts.has_output) ++facts_.output_events;
  facts_.choices_finished += facts.finished;
  if (facts.finished > 0) facts_.finish_reason = facts.finish_reason;
  if (facts.usage) facts_.usage = facts.usage;
  if (facts.predicted) facts_.predicted = facts.predicted;
  if (facts_.fingerprint.empty()) facts_.fingerprint = facts.system_fingerprint;
  if (client_.tap != nullptr) client_.tap->take(data, facts);
}

bool StreamRelay::end(std::string& out) {
  if (anthropic_) {
    const bool cut = !done_ && facts_.choices_finished == 0 && !facts_.server_error;
    anthropic_->on_end(out);
    return !cut;
  }
  // Some servers leave [DONE] out; every choice must have said why it stopped.
  if (done_ || facts_.server_error || facts_.choices_finished >= client_.choices) return true;
  fail({.status = 502,
        .message = "the inference server ended its stream before the answer was complete",
        .param = {},
        .code = "upstream_cut"},
       out);
  return false;
}

void StreamRelay::fail(const protocol::ApiError& error, std::string& out) {
  if (anthropic_) {
    anthropic_->on_error(error, out);
  } else if (!done_ && !facts_.server_error) {
    out += protocol::error_event(client_.provider, error, client_.request_id);
  }
}

}  // namespace truekeel::gateway
