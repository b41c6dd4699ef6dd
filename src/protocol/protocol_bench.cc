// SPDX-License-Identifier: Apache-2.0
// What the codecs cost per chunk of a stream and per request.
#include <benchmark/benchmark.h>

#include <string>

#include "protocol/anthropic.h"
#include "protocol/anthropic_stream.h"
#include "protocol/json_splice.h"
#include "protocol/openai_request.h"
#include "protocol/response_facts.h"
#include "protocol/sse.h"
#include "protocol/token_records.h"
#include "protocol/unasked.h"

namespace {

using namespace truekeel::protocol;

/// A delta as vLLM sends it, with the top `top` logprobs.
std::string chunk(int top) {
  std::string logprobs = "null";
  if (top > 0) {
    const std::string token = R"({"token":" the","logprob":-1.2345678806304932,"bytes":[32,116,104,101]})";
    logprobs =
        R"({"content":[{"token":" the","logprob":-1.2345678806304932,"bytes":[32,116,104,101],"top_logprobs":[)";
    for (int i = 0; i < top; ++i) logprobs += (i == 0 ? "" : ",") + token;
    logprobs += "]}]}";
  }
  return R"({"id":"chatcmpl-7f9a1c3b5d7e","object":"chat.completion.chunk","created":1795300000,"model":"smollm2-135m",)"
         R"("system_fingerprint":"fp_12345678","choices":[{"index":0,"delta":{"content":" the"},"logprobs":)" +
         logprobs + R"(,"finish_reason":null}]})";
}

/// The value of `logprobs` as llama.cpp and our worker send it.
std::string records_with_ids(int top) {
  const std::string token =
      R"("id":260,"token":" the","bytes":[32,116,104,101],"logprob":-1.2345678806304932)";
  std::string list;
  for (int i = 0; i < top; ++i) list += (i == 0 ? "{" : ",{") + token + "}";
  return R"({"content":[{)" + token + R"(,"top_logprobs":[)" + list + "]}]}";
}

constexpr std::string_view kAudit =
    "[[0,19556,0,0,49152,40582731283902,8211310022317,25799520044061,-0.8163412345,20.11482123,19556,0,0."
    "0712,0.0183,0.0041]]";

std::string request(std::size_t text_bytes, bool escapes) {
  std::string text;
  while (text.size() < text_bytes)
    text += escapes ? R"(if (a < b) {\n  return \"c\";\n}\n)" : "the quick brown fox jumps ";
  std::string body = R"({"model":"smollm2-135m","messages":[{"role":"system","content":"You are helpful."},)"
                     R"({"role":"user","content":")" +
                     text + R"("}],"temperature":0.7,"stream":true,"max_tokens":256})";
  body.reserve(body.size() + kJsonPadding);
  return body;
}

void report_bytes(benchmark::State& state, std::size_t bytes) {
  state.counters["bytes"] = static_cast<double>(bytes);
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * bytes));
}

void chunk_facts(benchmark::State& state) {
  const std::string json = chunk(static_cast<int>(state.range(0)));
  ResponseReader reader;
  for (auto _ : state) benchmark::DoNotOptimize(reader.read(json));
  report_bytes(state, json.size());
}
BENCHMARK(chunk_facts)->ArgName("top")->Arg(0)->Arg(20);

/// The records of one token as numbers: llama.cpp's and our worker's shape, with ids.
void token_records(benchmark::State& state) {
  const std::string json = records_with_ids(static_cast<int>(state.range(0)));
  const std::string audit = state.range(1) != 0 ? std::string(kAudit) : std::string();
  TokenRecordReader reader;
  TokenRecords records;
  for (auto _ : state) benchmark::DoNotOptimize(reader.read(json, audit, records));
  report_bytes(state, json.size() + audit.size());
}
BENCHMARK(token_records)->ArgNames({"top", "audit"})->Args({0, 0})->Args({20, 0})->Args({20, 1});

/// What a stream's event costs on its way when nobody but the gateway asked for its logprobs.
void take_out(benchmark::State& state) {
  const std::string json = chunk(20);
  ResponseReader reader;
  std::string out;
  for (auto _ : state) {
    out.clear();
    append_unasked(out, json, *reader.read(json), {.logprobs = true});
    benchmark::DoNotOptimize(out.data());
  }
  report_bytes(state, json.size());
}
BENCHMARK(take_out);

void sse_parse(benchmark::State& state) {
  std::string event;
  append_sse(event, "", chunk(static_cast<int>(state.range(0))));
  SseParser parser;
  for (auto _ : state) {
    parser.push(event);
    benchmark::DoNotOptimize(parser.next());
  }
  report_bytes(state, event.size());
}
BENCHMARK(sse_parse)->ArgName("top")->Arg(0)->Arg(20);

void anthropic_delta(benchmark::State& state) {
  const std::string json = chunk(0);
  AnthropicStream stream({"msg_1", "m"});
  std::string out;
  for (auto _ : state) {
    out.clear();
    stream.on_data(json, out);
    benchmark::DoNotOptimize(out.data());
  }
  report_bytes(state, json.size());
}
BENCHMARK(anthropic_delta);

void read_request(benchmark::State& state) {
  const std::string body = request(static_cast<std::size_t>(state.range(0)), state.range(1) != 0);
  JsonParser parser;
  for (auto _ : state) benchmark::DoNotOptimize(read_openai_request(OpenAiCall::chat, parser, body));
  report_bytes(state, body.size());
}
BENCHMARK(read_request)
    ->ArgNames({"text", "escapes"})
    ->Args({400, 0})
    ->Args({100'000, 0})
    ->Args({100'000, 1})
    ->Args({64 << 20, 0});

void splice_limit(benchmark::State& state) {
  const std::string body = request(static_cast<std::size_t>(state.range(0)), false);
  JsonParser parser;
  const auto read = read_openai_request(OpenAiCall::chat, parser, body);
  const std::vector<JsonEdit> edits = {{"max_tokens", "512"}, {"logprobs", "true"}, {"top_logprobs", "20"}};
  for (auto _ : state) benchmark::DoNotOptimize(splice(body, read->members, edits));
  report_bytes(state, body.size());
}
BENCHMARK(splice_limit)->ArgName("text")->Arg(400)->Arg(100'000);

void translate_anthropic(benchmark::State& state) {
  std::string body = request(static_cast<std::size_t>(state.range(0)), false);
  body.erase(body.find(R"({"role":"system")"),
             std::string_view(R"({"role":"system","content":"You are helpful."},)").size());
  JsonParser parser;
  for (auto _ : state) {
    const auto translated = read_anthropic_request(parser, body);
    if (!translated) state.SkipWithError(translated.error().message.c_str());
    benchmark::DoNotOptimize(translated);
  }
  report_bytes(state, body.size());
}
BENCHMARK(translate_anthropic)->ArgName("text")->Arg(400)->Arg(100'000);

}  // namespace

BENCHMARK_MAIN();
