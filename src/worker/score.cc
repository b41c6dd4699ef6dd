// SPDX-License-Identifier: Apache-2.0
// /v1/score and /tokenize.
#include <fmt/format.h>

#include <utility>

#include "protocol/json.h"
#include "worker/answer.h"
#include "worker/append.h"
#include "worker/shared.h"

namespace truekeel::worker {
namespace {

/// A continuation given as text is plain text: names of control tokens in it are not read as tokens.
std::vector<Token> continuation_tokens(const Shared& shared, const ScoreRequest& request) {
  if (const auto* tokens = std::get_if<std::vector<Token>>(&request.continuation)) return *tokens;
  std::vector<Token> tokens;
  (void)shared.tokenizer.tokenize(std::get<std::string>(request.continuation), {}, shared.ctx(), tokens);
  return tokens;
}

std::string write_score(const Shared& shared, const std::vector<TokenRecord>& records,
                        std::uint32_t prompt_tokens) {
  std::string out = R"({"object":"score","model":)";
  protocol::append_quoted(out, shared.limits.model);
  append(out, R"(,"system_fingerprint":"{}","path":"prefill","tokens":)", shared.fingerprint.name);
  append_records(out, records, shared.vocabulary());
  double sum = 0;
  for (const auto& record : records) sum += record.logprob;
  append(out, R"(,"sum_logprob":{:.10g},)", std::max(sum, -1e9));
  append_usage(out, {prompt_tokens, static_cast<std::uint32_t>(records.size())});
  out += '}';
  return out;
}

}  // namespace

http::Task<void> handle_score(Call& call) {
  auto& shared = call.shared;
  const auto request = parse_score(call.exchange.body(), shared.limits);
  if (!request) {
    co_await respond_error(call, request.error());
    co_return;
  }
  auto given = continuation_tokens(shared, *request);
  if (given.empty()) {
    co_await respond_error(
        call, {.status = 400, .message = "The continuation is empty.", .param = "continuation", .code = ""});
    co_return;
  }
  auto prompt = prompt_tokens(shared, request->prompt, given.size());
  if (!prompt) {
    co_await respond_error(call, prompt.error());
    co_return;
  }
  const auto prompt_size = static_cast<std::uint32_t>(prompt->size());
  auto job = std::make_unique<Job>();
  job->mode = Mode::score;
  job->prompt = std::move(*prompt);
  job->max_tokens = static_cast<std::uint32_t>(given.size());
  job->given = std::move(given);
  job->logprobs = true;
  job->top = request->top;
  const auto records = co_await collect(call, std::move(job));
  if (records) co_await respond_json(call, write_score(shared, *records, prompt_size));
}

http::Task<void> handle_tokenize(Call& call) {
  auto& shared = call.shared;
  const auto request = parse_tokenize(call.exchange.body(), shared.limits);
  if (!request) {
    co_await respond_error(call, request.error());
    co_return;
  }
  std::vector<Token> tokens;
  bool whole = true;
  const auto stop_above = request->stop_above.value_or(engine::kCountAll);
  if (const auto* given = std::get_if<std::vector<Token>>(&request->prompt)) {
    tokens = *given;
  } else if (const auto* text = std::get_if<std::string>(&request->prompt)) {
    whole = shared.tokenizer.tokenize(*text, request->options, stop_above, tokens);
  } else {
    const auto rendered = shared.vocabulary().render(std::get<std::vector<engine::Message>>(request->prompt));
    if (!rendered) {
      co_await respond_error(
          call, {.status = 400, .message = rendered.error().message, .param = "messages", .code = ""});
      co_return;
    }
    whole = shared.tokenizer.tokenize(*rendered, engine::kPrompt, stop_above, tokens);
  }
  std::string out =
      fmt::format(R"({{"count":{},"stopped":{},"max_model_len":{})", tokens.size(), !whole, shared.ctx());
  if (request->with_tokens) out += fmt::format(R"(,"tokens":[{}])", fmt::join(tokens, ","));
  co_await respond_json(call, out + "}");
}

}  // namespace truekeel::worker
