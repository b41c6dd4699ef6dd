// SPDX-License-Identifier: Apache-2.0
#include "gateway/stream_relay.h"

#include <utility>

namespace truekeel::gateway {

using protocol::Provider;

StreamRelay::StreamRelay(Client client) : client_(std::move(client)) {
  if (client_.provider == Provider::anthropic) anthropic_.emplace(client_.identity, client_.input_tokens);
}

Result<void> StreamRelay::push(std::string_view bytes, std::string& out) {
  parser_.push(bytes);
  while (true) {
    const auto block = parser_.next();
    if (!block) return std::unexpected(block.error());
    if (!*block) return {};
    const bool is_event = (*block)->is_event;
    if (is_event) on_event((*block)->data);
    if (!anthropic_) {
      out += (*block)->raw;
    } else if (is_event) {
      anthropic_->on_data((*block)->data, out);
    }
  }
}

void StreamRelay::on_event(std::string_view data) {
  if (protocol::is_done(data)) {
    done_ = true;
    return;
  }
  const auto facts = reader_.read(data);
  if (!facts) return;  // passed on as it is: the client is the judge
  if (facts->is_error) facts_.server_error = true;
  if (facts->has_output) ++facts_.output_events;
  facts_.choices_finished += facts->finished;
  if (facts->usage) facts_.usage = facts->usage;
  if (facts_.fingerprint.empty()) facts_.fingerprint = facts->system_fingerprint;
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
