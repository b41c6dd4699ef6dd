// SPDX-License-Identifier: Apache-2.0
#include "worker/shared.h"

#include <fmt/format.h>

#include <utility>

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

ApiError queue_full() {
  return {.status = 429,
          .message = "Too many requests wait already. Try again in a second.",
          .param = "",
          .code = "queue_full"};
}

ApiError to_api_error(const Error& error) {
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
