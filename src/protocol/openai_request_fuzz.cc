// SPDX-License-Identifier: Apache-2.0
// Any body is read or refused as 400; what is accepted is JSON, and its texts have the size that was counted.
#include <cstdint>
#include <string>

#include "base/assert.h"
#include "protocol/fuzz_oracle.h"
#include "protocol/openai_request.h"

using namespace truekeel::protocol;

namespace {

/// Escapes in strings that nobody reads are left to the server.
bool has_escape(std::string_view text) { return text.find('\\') != std::string_view::npos; }

void check_chat(JsonParser& parser, const std::string& body, const OpenAiRequest& request) {
  const auto messages = read_messages(parser, body);
  TK_ASSERT(messages);
  TK_ASSERT(messages->size() == request.prompt.messages);
  std::size_t bytes = 0;
  for (const auto& message : *messages) bytes += message.role.size() + message.text.size();
  TK_ASSERT(bytes <= request.prompt.text_bytes);
}

void check_prompts(JsonParser& parser, const std::string& body, const OpenAiRequest& request) {
  const auto prompts = read_prompts(parser, body);
  TK_ASSERT(prompts);
  std::size_t bytes = 0;
  for (const auto& prompt : *prompts) bytes += prompt.size();
  TK_ASSERT(bytes == request.prompt.text_bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string body(reinterpret_cast<const char*>(data), size);
  JsonParser parser;
  for (const auto call : {OpenAiCall::chat, OpenAiCall::completions}) {
    const auto request = read_openai_request(call, parser, body);
    if (!request) {
      TK_ASSERT(request.error().status == 400 && !request.error().message.empty());
      continue;
    }
    TK_ASSERT(has_escape(body) || JsonOracle::accepts(body));
    TK_ASSERT(request->stable_prefix.begin <= request->stable_prefix.end);
    TK_ASSERT(request->stable_prefix.end <= body.size());
    if (call == OpenAiCall::chat) check_chat(parser, body, *request);
    if (call == OpenAiCall::completions) check_prompts(parser, body, *request);
  }
  return 0;
}
