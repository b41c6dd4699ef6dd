// SPDX-License-Identifier: Apache-2.0
// Requests of the Messages API as chat bodies. Texts are copied as written, escapes and all: nothing is
// decoded, nothing lost.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "protocol/anthropic.h"
#include "protocol/anthropic_blocks.h"
#include "protocol/anthropic_tools.h"
#include "protocol/body_walk.h"

namespace truekeel::protocol {
namespace {

/// Depths of values in the body, in a message, and in what is refused.
constexpr unsigned kMemberDepth = 1;
constexpr unsigned kMessageDepth = 3;
constexpr unsigned kInnerDepth = 3;

/// Fields that tune or bill but do not change the answer.
constexpr std::array<std::string_view, 3> kDropped = {"cache_control", "service_tier", "inference_geo"};

/// Fields that mean the same in both APIs.
constexpr std::array<std::string_view, 3> kCopied = {"temperature", "top_p", "top_k"};

bool is_in(const auto& names, std::string_view name) { return std::ranges::find(names, name) != names.end(); }

class MessagesWalk {
 public:
  explicit MessagesWalk(BodyWalk& walk) : walk_(walk) {}

  void take(std::string_view name, od::value value);
  [[nodiscard]] ApiResult<AnthropicRequest> finish(bool counting) &&;

 private:
  void message(std::size_t index, od::value value);
  void metadata(od::value value);
  void stop_sequences(od::value value);
  void unless_off(std::string_view name, od::value value);
  void append_message(std::string_view role, const MessageContent& content);
  void member(std::string_view name, std::string_view json) {
    rest_ += fmt::format(R"(,"{}":{})", name, json);
  }

  BodyWalk& walk_;
  AnthropicRequest request_;
  std::string system_, messages_;  ///< objects with commas between
  std::string rest_;               ///< other members of the chat body, each after a comma
  std::vector<std::string> seen_;
  std::string tools_;  ///< an array; empty: none
  ToolChoice choice_;
  bool has_limit_ = false, has_messages_ = false;
};

void MessagesWalk::take(std::string_view name, od::value value) {
  const std::string_view token = token_of(value);
  const std::string param(name);
  if (is_in(seen_, name)) return walk_.fail_field(param, "is given twice");
  seen_.push_back(param);
  if (is_null(token)) return;  // as if absent
  if (name == "model") {
    request_.model = string_field(walk_, token, name);
  } else if (name == "messages") {
    if (token != "[") return walk_.fail_field(param, "must be an array");
    walk_array(walk_, value, [&](std::size_t index, od::value v) { message(index, v); });
    has_messages_ = true;
  } else if (name == "system") {
    // Blocks of a system prompt are one text, as in the native endpoints of vLLM and llama.cpp.
    std::string text;
    for (const auto& part : read_content(walk_, value, param, Speaker::system, kMemberDepth).parts)
      text += part.text;
    system_ = fmt::format(R"({{"role":"system","content":"{}"}})", text);
  } else if (name == "max_tokens") {
    if (whole_number(token).value_or(0) < 1)
      return walk_.fail_field(param, "must be a whole number of at least 1");
    member(name, token);
    has_limit_ = true;
  } else if (name == "stream") {
    if (token != "true" && token != "false") return walk_.fail_field(param, "must be true or false");
    request_.stream = token == "true";
  } else if (name == "metadata") {
    metadata(value);
  } else if (name == "stop_sequences") {
    stop_sequences(value);
  } else if (name == "tools") {
    tools_ = read_tools(walk_, value, kMemberDepth);
  } else if (name == "tool_choice") {
    choice_ = read_tool_choice(walk_, value, kMemberDepth);
  } else if (is_in(kCopied, name)) {
    walk_.skip(value, kMemberDepth);
    if (!valid_number(token)) return walk_.fail_field(param, "must be a number");
    member(name, token);
  } else if (is_in(kDropped, name)) {
    walk_.skip(value, kMemberDepth);
  } else {
    unless_off(name, value);
  }
}

/// What has no translation is refused by name, unless it says that it is not used.
void MessagesWalk::unless_off(std::string_view name, od::value value) {
  const std::string_view token = token_of(value);
  bool off = token == "[";
  if (token == "[") {
    walk_array(walk_, value, [&](std::size_t, od::value v) {
      off = false;
      walk_.skip(v, kInnerDepth);
    });
  } else if (token == "{") {
    walk_object(walk_, value, [&](std::string_view inner, od::value v) {
      const std::string_view t = token_of(v);
      if (inner == "type") off = t == R"("disabled")" || t == R"("adaptive")";
      walk_.skip(v, kInnerDepth);
    });
  }
  if (!off) walk_.fail_field(std::string(name), "is not supported for this model");
}

void MessagesWalk::message(std::size_t index, od::value value) {
  const std::string param = fmt::format("messages[{}]", index);
  if (token_of(value) != "{") return walk_.fail_field(param, "must be an object");
  std::string role;
  std::optional<MessageContent> content;
  walk_object(walk_, value, [&](std::string_view name, od::value v) {
    if (name == "role") {
      role = string_field(walk_, token_of(v), param + ".role");
    } else if (name == "content") {
      if (content) return walk_.fail_field(param + ".content", "is given twice");
      content = read_content(walk_, v, param + ".content", Speaker::message, kMessageDepth);
    } else {
      walk_.fail_field(fmt::format("{}.{}", param, name), "is not a field of a message");
    }
  });
  const bool user = role == "user";
  if (!user && role != "assistant") walk_.fail_field(param + ".role", "must be \"user\" or \"assistant\"");
  if (!content) walk_.fail_field(param + ".content", "is required");
  if (walk_.fault) return;
  const bool media =
      std::ranges::any_of(content->parts, [](const ChatPart& part) { return !part.json.empty(); });
  if (user && !content->tool_calls.empty())
    walk_.fail_field(param + ".content", "holds a tool_use block, which is the assistant's to say");
  if (!user && (media || !content->tool_messages.empty()))
    walk_.fail_field(param + ".content", "holds blocks that are the user's to say");
  append_message(role, *content);
}

/// What tools answered comes first, as the calls that they answer stand right before.
void MessagesWalk::append_message(std::string_view role, const MessageContent& content) {
  const auto separate = [&] { return messages_.empty() ? "" : ","; };
  const bool called = !content.tool_calls.empty();
  if (!content.tool_messages.empty()) {
    messages_.append(separate()).append(content.tool_messages);
    if (content.parts.empty()) return;
  }
  messages_.append(separate()).append(R"({"role":")").append(role).append(R"(","content":)");
  messages_ += called && content.parts.empty() ? "null" : parts_json(content.parts);
  if (called) messages_.append(R"(,"tool_calls":[)").append(content.tool_calls).append(1, ']');
  messages_ += '}';
}

void MessagesWalk::metadata(od::value value) {
  if (token_of(value) != "{") return walk_.fail_field("metadata", "must be an object");
  walk_object(walk_, value, [&](std::string_view name, od::value v) {
    const std::string_view token = token_of(v);
    walk_.skip(v, 2);
    if (name != "user_id" || is_null(token)) return;
    const std::string user = string_field(walk_, token, "metadata.user_id");
    std::string quoted;
    append_quoted(quoted, user);
    member("user", quoted);
  });
}

void MessagesWalk::stop_sequences(od::value value) {
  if (token_of(value) != "[") return walk_.fail_field("stop_sequences", "must be an array of strings");
  std::string list;
  walk_array(walk_, value, [&](std::size_t index, od::value v) {
    const std::string text = string_field(walk_, token_of(v), fmt::format("stop_sequences[{}]", index));
    if (!list.empty()) list += ',';
    append_quoted(list, text);
  });
  if (!list.empty()) member("stop", fmt::format("[{}]", list));
}

ApiResult<AnthropicRequest> MessagesWalk::finish(bool counting) && {
  if (request_.model.empty()) walk_.fail_field("model", "is required");
  if (!has_messages_) walk_.fail_field("messages", "is required");
  if (messages_.empty()) walk_.fail_field("messages", "must hold at least one message");
  if (!has_limit_ && !counting) walk_.fail_field("max_tokens", "is required");
  if (choice_.needs_tools && tools_.empty()) walk_.fail_field("tool_choice", "needs tools");
  if (walk_.fault) return std::unexpected(*std::move(walk_.fault));
  if (!tools_.empty()) {
    member("tools", tools_);
    if (!choice_.json.empty()) member("tool_choice", choice_.json);
    if (choice_.one_call) member("parallel_tool_calls", "false");
  }

  std::string& body = request_.openai_body;
  body.reserve(messages_.size() + system_.size() + rest_.size() + 256 + kJsonPadding);
  body += R"({"model":)";
  append_quoted(body, request_.model);
  body.append(R"(,"messages":[)").append(system_).append(system_.empty() ? "" : ",").append(messages_);
  body.append(1, ']').append(rest_);
  if (request_.stream) body += R"(,"stream":true,"stream_options":{"include_usage":true})";
  body += '}';
  return std::move(request_);
}

ApiResult<AnthropicRequest> read(JsonParser& parser, const std::string& body, bool counting) {
  od::document document;
  BodyWalk walk{parser.impl(), document, {}};
  MessagesWalk messages(walk);
  walk_body(walk, body,
            [&](std::string_view name, od::value value, std::size_t) { messages.take(name, value); });
  return std::move(messages).finish(counting);
}

}  // namespace

ApiResult<AnthropicRequest> read_anthropic_request(JsonParser& parser, const std::string& body) {
  return read(parser, body, false);
}

ApiResult<AnthropicRequest> read_count_tokens(JsonParser& parser, const std::string& body) {
  return read(parser, body, true);
}

std::string count_tokens_body(std::uint64_t input_tokens) {
  return fmt::format(R"({{"input_tokens":{}}})", input_tokens);
}

}  // namespace truekeel::protocol
