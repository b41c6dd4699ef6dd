// SPDX-License-Identifier: Apache-2.0
#include "worker/shared.h"

#include <fmt/format.h>

#include <charconv>
#include <utility>

#include "worker/mailbox.h"

namespace truekeel::worker {
namespace {

using protocol::ApiError;

/// A prompt that is too long is counted to its end up to this size, so that the error can say by how much;
/// a longer one would stop the network's thread for too long.
constexpr std::size_t kCountedBytesMax = 256 << 10;

ApiError context_exceeded(const Shared& shared, std::string_view param, std::uint64_t prompt,
                          bool counted_whole, std::uint64_t output) {
  return {.status = 400,
          .message = fmt::format("This model's context window here is {} tokens; the prompt has {}{} and the "
                                 "output may have {}. Shorten the prompt or lower max_tokens.",
                                 shared.ctx(), counted_whole ? "" : "more than ", prompt, output),
          .param = std::string(param),
          .code = "context_length_exceeded"};
}

ApiError bad_prompt(std::string_view param, std::string message) {
  return {.status = 400, .message = std::move(message), .param = std::string(param), .code = ""};
}

}  // namespace

http::Task<void> respond_json(Call& call, std::string body) {
  call.shared.metrics.answered(call.route, 200);
  co_await call.exchange.respond(200, {{"content-type", "application/json"}}, body);
}

http::Task<void> respond_error(Call& call, ApiError error) {
  call.shared.metrics.answered(call.route, error.status);
  http::Headers headers = {{"content-type", "application/json"}};
  if (error.status == 429 || error.status == 503) headers.add("retry-after", "1");
  co_await call.exchange.respond(error.status, headers,
                                 protocol::error_body(protocol::Provider::openai, error));
}

http::Task<std::optional<std::vector<TokenRecord>>> collect(Call& call, std::unique_ptr<Job> job) {
  const auto mailbox = std::make_shared<Mailbox>(call.shared.context);
  const MailboxCloser closer(*mailbox);
  call.exchange.on_gone([mailbox] { mailbox->close(); });
  job->sink = mailbox->sink(0);
  job->deadline = call.deadline;
  if (!call.shared.inference.submit(std::move(job))) {
    co_await respond_error(call, queue_full());
    co_return std::nullopt;
  }
  std::vector<TokenRecord> records;
  while (true) {
    auto deliveries = co_await mailbox->take();
    if (deliveries.empty()) co_return std::nullopt;  // the client has left
    for (auto& delivery : deliveries) {
      if (!delivery.ending) {
        records.push_back(std::move(delivery.record));
      } else if (delivery.ending->finish == Finish::failed) {
        co_await respond_error(call, to_api_error(delivery.ending->error));
        co_return std::nullopt;
      } else {
        co_return records;
      }
    }
  }
}

Instant deadline_of(const http::Headers& headers, Instant now) {
  const auto text = headers.find("x-truekeel-timeout-ms");
  std::uint32_t value_ms = 0;
  if (!text) return Instant::max();
  const auto* last = text->data() + text->size();
  const auto [end, error] = std::from_chars(text->data(), last, value_ms);
  if (error != std::errc() || end != last || value_ms == 0) return Instant::max();
  return now + std::chrono::milliseconds(value_ms);
}

ApiError queue_full() {
  return {.status = 429,
          .message = "Too many requests wait already. Try again in a second.",
          .param = "",
          .code = "queue_full"};
}

ApiError to_api_error(const Error& error) {
  if (error.code == ErrorCode::timeout) {
    return {.status = 504, .message = error.message, .param = "", .code = "deadline_exceeded"};
  }
  const bool unavailable = error.code == ErrorCode::unavailable;
  return {.status = unavailable ? 503 : 500, .message = error.message, .param = "", .code = ""};
}

protocol::ApiResult<std::vector<Token>> prompt_tokens(const Shared& shared, const Prompt& prompt,
                                                      std::uint64_t output) {
  const bool is_chat = std::holds_alternative<std::vector<engine::Message>>(prompt);
  const std::string_view param = is_chat ? "messages" : "prompt";
  std::vector<Token> tokens;
  bool whole = true;
  if (const auto* given = std::get_if<std::vector<Token>>(&prompt)) {
    tokens = *given;
  } else {
    std::string rendered;
    if (is_chat) {
      auto text = shared.vocabulary().render(std::get<std::vector<engine::Message>>(prompt));
      if (!text) return std::unexpected(bad_prompt(param, std::move(text.error().message)));
      rendered = std::move(*text);
    }
    const auto& text = is_chat ? rendered : std::get<std::string>(prompt);
    const auto stop_above = text.size() > kCountedBytesMax ? shared.ctx() : engine::kCountAll;
    whole = shared.tokenizer.tokenize(text, engine::kPrompt, stop_above, tokens);
  }
  if (tokens.empty()) return std::unexpected(bad_prompt(param, "The prompt is empty."));
  if (!whole || tokens.size() + output > shared.ctx()) {
    return std::unexpected(context_exceeded(shared, param, tokens.size(), whole, output));
  }
  return tokens;
}

}  // namespace truekeel::worker
