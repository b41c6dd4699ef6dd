// SPDX-License-Identifier: Apache-2.0
// Any body is refused as 400 or becomes a chat body that is readable JSON.
#include <cstdint>
#include <string>

#include "base/assert.h"
#include "protocol/anthropic.h"
#include "protocol/fuzz_oracle.h"
#include "protocol/openai_request.h"

using namespace truekeel::protocol;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string body(reinterpret_cast<const char*>(data), size);
  JsonParser parser;
  const auto request = read_anthropic_request(parser, body);
  if (!request) {
    TK_ASSERT(request.error().status == 400 && !request.error().message.empty());
    return 0;
  }
  const std::string& chat = request->openai_body;
  TK_ASSERT(JsonOracle::accepts(chat));
  const auto read = read_openai_request(OpenAiCall::chat, parser, chat);
  TK_ASSERT(read && read->stream == request->stream && read->max_output());
  TK_ASSERT(read->model == request->model);
  return 0;
}
