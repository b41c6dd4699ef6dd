// SPDX-License-Identifier: Apache-2.0
// Requests of the Messages API as chat bodies. Texts are copied as written, escapes and all: nothing is
// decoded, nothing lost.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "protocol/anthropic.h"
#include "protocol/body_walk.h"

namespace truekeel::protocol {
namespace {

/// Depths of values in the body, in a message or metadata, and in a content block.
constexpr unsigned kMemberDepth = 1;
constexpr unsigned kInnerDepth = 3;
constexpr unsigned kBlockDepth = 5;

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
  using Texts = std::vector<std::string_view>;  ///< between their quotes, as written

  void message(std::size_t index, od::value value);
  [[nodiscard]] Texts content(od::value value, const std::string& param);
  [[nodiscard]] std::string_view block(od::value value, const std::string& param);
  void metadata(od::value value);
  void stop_sequences(od::value value);
  void unless_off(std::string_view name, od::value value);
  void append_message(std::string_view role, const Texts& texts);
  void member(std::string_view name, std::string_view json) {
    rest_ += fmt::format(R"(,"{}":{})", name, json);
  }

  BodyWalk& walk_;
  AnthropicRequest request_;
  std::string system_, messages_;  ///< objects with commas between
  std::string rest_;               ///< other members of the chat body, each after a comma
  std::vector<std::string> seen_;
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
    for (const auto part : content(value, param)) text += part;
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
      if (inner == "type") off = t == R"("disabled")" || t == R"("none")" || t == R"("auto")";
      walk_.skip(v, kInnerDepth);
    });
  }
  if (!off) walk_.fail_field(std::string(name), "is not supported for this model");
}

void MessagesWalk::message(std::size_t index, od::value value) {
  const std::string param = fmt::format("messages[{}]", index);
  if (token_of(value) != "{") return walk_.fail_field(param, "must be an object");
  std::string role;
  Texts texts;
  bool has_content = false;
  walk_object(walk_, value, [&](std::string_view name, od::value v) {
    if (name == "role") {
      role = string_field(walk_, token_of(v), param + ".role");
    } else if (name == "content") {
      if (has_content) return walk_.fail_field(param + ".content", "is given twice");
      has_content = true;
      texts = content(v, param + ".content");
    } else {
      walk_.fail_field(fmt::format("{}.{}", param, name), "is not a field of a message");
    }
  });
  if (role != "user" && role != "assistant")
    walk_.fail_field(param + ".role", "must be \"user\" or \"assistant\"");
  if (!has_content) walk_.fail_field(param + ".content", "is required");
  if (!walk_.fault) append_message(role, texts);
}

/// Several texts stay several parts: the server joins them as it does for its own clients.
void MessagesWalk::append_message(std::string_view role, const Texts& texts) {
  if (!messages_.empty()) messages_ += ',';
  messages_.append(R"({"role":")").append(role).append(R"(","content":)");
  if (texts.size() > 1) {
    messages_ += '[';
    for (std::size_t i = 0; i < texts.size(); ++i) {
      messages_.append(i == 0 ? "" : ",")
          .append(R"({"type":"text","text":")")
          .append(texts[i])
          .append(R"("})");
    }
    messages_ += ']';
  } else {
    messages_.append(1, '"').append(texts.empty() ? std::string_view() : texts[0]).append(1, '"');
  }
  messages_ += '}';
}

MessagesWalk::Texts MessagesWalk::content(od::value value, const std::string& param) {
  const std::string_view token = token_of(value);
  Texts texts;
  if (is_string(token)) {
    texts.push_back(inside_quotes(token));
  } else if (token == "[") {
    walk_array(walk_, value, [&](std::size_t index, od::value v) {
      const std::string_view text = block(v, fmt::format("{}[{}]", param, index));
      if (text.data() != nullptr) texts.push_back(text);
    });
  } else {
    walk_.fail_field(param, "must be a string or an array of blocks");
  }
  for (const auto text : texts) {
    if (!json_unescaped_size(text)) walk_.fail_json(simdjson::STRING_ERROR);
  }
  return texts;
}

/// The text of a block; nothing for thinking of earlier turns, which no model sees again.
std::string_view MessagesWalk::block(od::value value, const std::string& param) {
  if (token_of(value) != "{") {
    walk_.fail_field(param, "must be an object");
    return {};
  }
  std::string type;
  std::string_view text;
  walk_object(walk_, value, [&](std::string_view name, od::value v) {
    const std::string_view token = token_of(v);
    if (name == "type") {
      type = string_field(walk_, token, param + ".type");
    } else if (name == "text" && is_string(token)) {
      text = inside_quotes(token);
    } else {
      walk_.skip(v, kBlockDepth);
    }
  });
  if (type == "thinking" || type == "redacted_thinking") return {};
  if (type != "text") {
    walk_.fail_field(param + ".type", "must be \"text\": other blocks are not supported for this model");
  } else if (text.data() == nullptr) {
    walk_.fail_field(param + ".text", "must be a string");
  }
  return text;
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
  if (walk_.fault) return std::unexpected(*std::move(walk_.fault));

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
