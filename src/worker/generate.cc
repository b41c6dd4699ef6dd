// SPDX-License-Identifier: Apache-2.0
// /v1/chat/completions and /v1/completions, streamed and not.
#include <fmt/format.h>

#include <random>
#include <utility>

#include "base/log.h"
#include "worker/answer.h"
#include "worker/mailbox.h"
#include "worker/shared.h"

namespace truekeel::worker {
namespace {

/// Seeds and ids need not repeat, only differ: the one place where chance enters.
std::uint64_t random_bits() {
  static std::mt19937_64 generator{std::random_device()()};
  return generator();
}

/// Integers beyond 2^53 lose digits in JavaScript.
std::uint64_t random_seed() { return random_bits() >> 11; }

AnswerHead make_head(const Shared& shared, const GenerateRequest& request, bool chat, std::uint64_t seed) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return {.chat = chat,
          .id = fmt::format("{}-{:016x}", chat ? "chatcmpl" : "cmpl", random_bits()),
          .created_s = std::chrono::duration_cast<std::chrono::seconds>(now).count(),
          .model = shared.limits.model,
          .fingerprint = shared.fingerprint.name,
          .seed = seed,
          .logprobs = request.logprobs,
          .token_ids = request.token_ids,
          .audit = request.audit};
}

/// Puts one job for each choice into the queue; false when it is full.
bool submit(const Call& call, const GenerateRequest& request, const std::vector<Token>& prompt,
            std::uint32_t max_tokens, std::uint64_t seed, Mailbox& mailbox) {
  for (std::uint32_t choice = 0; choice < request.choices; ++choice) {
    auto job = std::make_unique<Job>();
    job->prompt = prompt;
    job->max_tokens = max_tokens;
    job->sampling = request.sampling;
    job->sampling.seed = seed;
    job->sampling.stream = choice;
    job->stop = request.stop;
    job->ignore_end = request.ignore_end;
    job->logprobs = request.logprobs;
    job->audit = request.audit;
    job->top = request.top;
    job->deadline = call.deadline;
    job->sink = mailbox.sink(choice);
    if (!call.shared.inference.submit(std::move(job))) return false;
  }
  return true;
}

void log_answer(const Call& call, const Usage& usage, int status) {
  const auto id = call.exchange.request().headers.find("x-truekeel-request-id").value_or("");
  const auto took = std::chrono::duration<double, std::milli>(call.shared.net.now() - call.began);
  log_info("request.done", {{"route", call.route},
                            {"status", status},
                            {"request_id", id.substr(0, 64)},
                            {"prompt_tokens", usage.prompt_tokens},
                            {"completion_tokens", usage.completion_tokens},
                            {"ms", took.count()}});
}

/// Reads one request's mailbox to its end.
struct Reading {
  Mailbox& mailbox;
  std::uint32_t open;  ///< choices that have not ended
  Usage usage;
  bool began = false;
  std::optional<Error> failure;

  void note(Call& call, const Delivery& delivery) {
    if (!std::exchange(began, true)) call.shared.metrics.first_token(call.shared.net.now() - call.began);
    if (!delivery.ending) return;
    --open;
    usage.completion_tokens += delivery.ending->completion_tokens;
    if (delivery.ending->finish == Finish::failed) failure = delivery.ending->error;
  }
};

http::Task<void> answer_whole(Call& call, const AnswerHead& head, std::uint32_t choices, Reading& reading) {
  std::vector<ChoiceAnswer> answers(choices);
  while (reading.open > 0 && !reading.failure) {
    auto deliveries = co_await reading.mailbox.take();
    if (deliveries.empty()) co_return;  // the client has left
    for (auto& delivery : deliveries) {
      reading.note(call, delivery);
      answers[delivery.choice].add(std::move(delivery), head.shows_tokens());
    }
  }
  if (reading.failure) {
    co_await respond_error(call, to_api_error(*reading.failure));
  } else {
    co_await respond_json(call, write_answer(head, answers, reading.usage, call.shared.vocabulary()));
  }
}

/// The events of some deliveries. A failure ends the stream with an event that says so.
std::string events_of(Call& call, StreamWriter& writer, Reading& reading, bool include_usage,
                      const std::vector<Delivery>& deliveries) {
  std::string out;
  for (const auto& delivery : deliveries) {
    reading.note(call, delivery);
    if (reading.failure) {
      return out + protocol::error_event(protocol::Provider::openai, to_api_error(*reading.failure));
    }
    writer.append(out, delivery);
  }
  if (reading.open == 0) {
    if (include_usage) writer.append_usage(out, reading.usage);
    out += "data: [DONE]\n\n";
  }
  return out;
}

http::Task<void> answer_stream(Call& call, const AnswerHead& head, const GenerateRequest& request,
                               Reading& reading) {
  StreamWriter writer(head, call.shared.vocabulary());
  while (true) {
    const auto deliveries = co_await reading.mailbox.take();
    if (deliveries.empty()) co_return;  // the client has left
    std::string out;
    const bool first = !reading.began;
    if (first) {
      for (std::uint32_t choice = 0; choice < request.choices; ++choice) writer.append_opening(out, choice);
    }
    out += events_of(call, writer, reading, request.include_usage, deliveries);
    if (first && reading.failure) {
      co_await respond_error(call, to_api_error(*reading.failure));
      co_return;
    }
    if (first) {
      call.shared.metrics.answered(call.route, 200);
      call.exchange.start(200, {{"content-type", "text/event-stream"}, {"cache-control", "no-cache"}});
    }
    if (reading.open == 0 || reading.failure) {
      co_await call.exchange.finish(out);
      co_return;
    }
    if (!out.empty() && !co_await call.exchange.write(out)) co_return;
  }
}

}  // namespace

http::Task<void> handle_generation(Call& call, bool chat) {
  auto& shared = call.shared;
  const auto& body = call.exchange.body();
  const auto request = chat ? parse_chat(body, shared.limits) : parse_completion(body, shared.limits);
  if (!request) {
    co_await respond_error(call, request.error());
    co_return;
  }
  const auto prompt = prompt_tokens(shared, request->prompt, request->max_tokens.value_or(1));
  if (!prompt) {
    co_await respond_error(call, prompt.error());
    co_return;
  }
  const auto room = shared.ctx() - static_cast<std::uint32_t>(prompt->size());
  const auto seed = request->has_seed ? request->sampling.seed : random_seed();
  const auto mailbox = std::make_shared<Mailbox>(shared.context);
  const MailboxCloser closer(*mailbox);
  call.exchange.on_gone([mailbox] { mailbox->close(); });
  if (!submit(call, *request, *prompt, request->max_tokens.value_or(room), seed, *mailbox)) {
    co_await respond_error(call, queue_full());
    co_return;
  }

  const auto head = make_head(shared, *request, chat, seed);
  Reading reading{.mailbox = *mailbox,
                  .open = request->choices,
                  .usage = {.prompt_tokens = static_cast<std::uint32_t>(prompt->size())},
                  .failure = {}};
  if (request->stream) {
    co_await answer_stream(call, head, *request, reading);
  } else {
    co_await answer_whole(call, head, request->choices, reading);
  }
  shared.metrics.finished(shared.net.now() - call.began);
  log_answer(call, reading.usage, reading.failure ? to_api_error(*reading.failure).status : 200);
}

}  // namespace truekeel::worker
