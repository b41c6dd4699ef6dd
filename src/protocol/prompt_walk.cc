// SPDX-License-Identifier: Apache-2.0
#include "protocol/prompt_walk.h"

#include <fmt/format.h>

#include <algorithm>

namespace truekeel::protocol {
namespace {

/// Long enough to tell conversations apart, short enough to stay equal while a prompt grows.
constexpr std::size_t kPromptPrefixBytes = 1024;

/// Depth of what lies in an element of `messages`, in its `content`, in an element of that.
constexpr unsigned kMessageDepth = 3;
constexpr unsigned kPartDepth = 5;

/// Decodes or measures one piece of text.
std::size_t take_text(BodyWalk& walk, std::string_view token, std::string* out) {
  if (out == nullptr) {
    const auto size = json_unescaped_size(inside_quotes(token));
    if (!size) walk.fail_json(simdjson::STRING_ERROR);
    return size.value_or(0);
  }
  const auto text = json_unescape(inside_quotes(token));
  if (!text) {
    walk.fail_json(simdjson::STRING_ERROR);
    return 0;
  }
  *out += *text;
  return text->size();
}

/// Bytes of a text that stay when a template trims white space around it, at least: all that may be white
/// space, decoded or escaped, is taken off both ends, and so may be more. Decoding never lengthens a text.
std::size_t kept_bytes(std::string_view token, std::size_t decoded) {
  const std::string_view escaped = inside_quotes(token);
  const auto graphic = [](char c) { return c > ' ' && c < 0x7f; };
  std::size_t front = 0;
  while (front < escaped.size() && (!graphic(escaped[front]) || escaped[front] == '\\')) {
    front += escaped[front] != '\\' ? 1 : escaped.substr(front + 1, 1) == "u" ? 6 : 2;
  }
  std::size_t back = escaped.size();
  while (back > front) {
    if (!graphic(escaped[back - 1])) {
      --back;
    } else if (back - front >= 2 && escaped[back - 2] == '\\') {
      back -= 2;
    } else if (back - front >= 6 && escaped.substr(back - 6, 2) == "\\u") {
      back -= 6;
    } else {
      break;
    }
  }
  const std::size_t taken = std::min(front, escaped.size()) + (escaped.size() - std::max(back, front));
  return decoded - std::min(decoded, taken);
}

/// Walks one message.
class MessageWalk {
 public:
  MessageWalk(BodyWalk& walk, PromptShape& shape, std::size_t index, ChatMessage* out)
      : walk_(walk), shape_(shape), index_(index), out_(out) {}

  void run(od::value value) {
    if (token_of(value) != "{") return walk_.fail_field(name(), "must be an object");
    walk_object(walk_, value, [&](std::string_view member, od::value v) { take(member, v); });
    if (!walk_.fault && role_.empty()) walk_.fail_field(name(".role"), "is required");
    shape_.text_bytes += bytes_;
    shape_.text_bytes_max = std::max(shape_.text_bytes_max, bytes_);
  }

  [[nodiscard]] bool is_user() const { return role_ == "user"; }

 private:
  [[nodiscard]] std::string name(std::string_view member = {}) const {
    return fmt::format("messages[{}]{}", index_, member);
  }

  void take(std::string_view member, od::value value) {
    const std::string_view token = token_of(value);
    if (member == "role") {
      if (!role_.empty()) return walk_.fail_field(name(".role"), "is given twice");
      if (!is_string(token)) return walk_.fail_field(name(".role"), "must be a string");
      role_ = string_field(walk_, token, {});
      bytes_ += role_.size();
      if (out_ != nullptr) out_->role = role_;
    } else if (member == "content") {
      if (content_) return walk_.fail_field(name(".content"), "is given twice");
      content_ = true;
      content(value, token);
    } else {
      other(value, token);
    }
  }

  void content(od::value value, std::string_view token) {
    if (is_string(token)) {
      take_content(token);
    } else if (token == "[") {
      walk_array(walk_, value, [&](std::size_t at, od::value v) { part(at, v); });
    } else if (!is_null(token)) {
      walk_.fail_field(name(".content"), "must be a string, an array of parts or null");
    }
  }

  void take_content(std::string_view token) {
    const std::size_t bytes = take_text(walk_, token, text());
    bytes_ += bytes;
    shape_.kept_bytes += kept_bytes(token, bytes);
  }

  void part(std::size_t at, od::value value) {
    if (at > 0) {  // the line break that joins parts
      ++bytes_;
      if (out_ != nullptr) out_->text += '\n';
    }
    const std::string_view token = token_of(value);
    if (is_string(token)) return take_content(token);
    const std::string param = name(fmt::format(".content[{}]", at));
    if (token != "{") return walk_.fail_field(param, "must be an object or a string");
    std::string type;
    bool has_text = false;
    walk_object(walk_, value, [&](std::string_view member, od::value v) {
      const std::string_view t = token_of(v);
      if (member == "type") {
        type = string_field(walk_, t, param + ".type");
      } else if ((member == "text" || member == "refusal") && is_string(t)) {
        has_text = true;
        take_content(t);
      } else {
        walk_.skip(v, kPartDepth);
      }
    });
    if (walk_.fault) return;
    if (type.empty()) return walk_.fail_field(param + ".type", "is required");
    if (!has_text || (type != "text" && type != "refusal")) ++shape_.media_parts;
  }

  /// What a template may render: text counts as text, structure cannot be bounded.
  void other(od::value value, std::string_view token) {
    if (is_string(token)) {
      bytes_ += take_text(walk_, token, nullptr);
      return;
    }
    const TextRange range = walk_.skip(value, kMessageDepth);
    const bool container = token == "{" || token == "[";
    if (container && range.end - range.begin > 2) ++shape_.structured_parts;
  }

  [[nodiscard]] std::string* text() const { return out_ == nullptr ? nullptr : &out_->text; }

  BodyWalk& walk_;
  PromptShape& shape_;
  const std::size_t index_;
  ChatMessage* const out_;
  std::string role_;
  bool content_ = false;
  std::size_t bytes_ = 0;
};

/// Walks an array of token ids and says how many there are.
std::size_t walk_ids(BodyWalk& walk, od::value value) {
  std::size_t ids = 0;
  walk_array(walk, value, [&](std::size_t, od::value v) {
    ++ids;
    if (!whole_number(token_of(v))) walk.fail_field("prompt", "must hold token ids that are whole numbers");
  });
  return ids;
}

void add_prompt_text(BodyWalk& walk, PromptShape& shape, std::string_view token,
                     std::vector<std::string>* out) {
  std::string* text = out == nullptr ? nullptr : &out->emplace_back();
  const std::size_t bytes = take_text(walk, token, text);
  ++shape.messages;
  shape.text_bytes += bytes;
  shape.text_bytes_max = std::max(shape.text_bytes_max, bytes);
  shape.kept_bytes = std::max(shape.kept_bytes, kept_bytes(token, bytes));
}

void add_prompt_ids(PromptShape& shape, std::size_t ids) {
  ++shape.messages;
  shape.token_ids += ids;
  shape.token_ids_max = std::max(shape.token_ids_max, ids);
}

/// What an element of `prompt` is: '"' a text, '[' ids, '0' an id; 0: none of these.
char prompt_kind(std::string_view token) {
  if (is_string(token)) return '"';
  if (token == "[") return '[';
  return valid_number(token) ? '0' : '\0';
}

}  // namespace

void walk_messages(BodyWalk& walk, od::value value, PromptFacts& facts, std::vector<ChatMessage>* out) {
  if (token_of(value) != "[") return walk.fail_field("messages", "must be an array");
  bool user_seen = false;
  walk_array(walk, value, [&](std::size_t index, od::value element) {
    const std::string_view token = token_of(element);
    MessageWalk message(walk, facts.shape, index, out == nullptr ? nullptr : &out->emplace_back());
    message.run(element);
    if (walk.fault) return;
    const TextRange range = walk.range(token);
    // The first message, or all up to the first of the user: later turns repeat both.
    if (index == 0) facts.stable_prefix = range;
    if (!user_seen && message.is_user()) facts.stable_prefix.end = range.end;
    user_seen = user_seen || message.is_user();
    ++facts.shape.messages;
  });
  if (!walk.fault && facts.shape.messages == 0) walk.fail_field("messages", "must hold at least one message");
}

void walk_prompt(BodyWalk& walk, od::value value, PromptFacts& facts, std::vector<std::string>* out) {
  constexpr std::string_view kMust =
      "must be a string, an array of strings, an array of token ids or an array of such arrays";
  PromptShape& shape = facts.shape;
  const std::string_view token = token_of(value);
  const std::size_t begin = walk.impl.position(token) + 1;
  if (is_string(token)) {
    add_prompt_text(walk, shape, token, out);
    facts.stable_prefix = {begin, begin + std::min(token.size() - 2, kPromptPrefixBytes)};
    return;
  }
  if (token != "[") return walk.fail_field("prompt", kMust);

  char kind = 0;
  std::size_t ids = 0;
  walk_array(walk, value, [&](std::size_t index, od::value element) {
    const std::string_view t = token_of(element);
    if (index == 0) kind = prompt_kind(t);
    if (kind == 0 || prompt_kind(t) != kind) return walk.fail_field("prompt", kMust);
    if (kind == '"') {
      add_prompt_text(walk, shape, t, out);
    } else if (kind == '[') {
      add_prompt_ids(shape, walk_ids(walk, element));
    } else if (whole_number(t)) {
      ++ids;
    } else {
      walk.fail_field("prompt", "must hold token ids that are whole numbers");
    }
  });
  if (walk.fault) return;
  if (ids > 0) add_prompt_ids(shape, ids);
  if (shape.messages == 0) return walk.fail_field("prompt", "must not be empty");
  const TextRange range = walk.range(token);
  facts.stable_prefix = {begin, std::min(range.end - 1, begin + kPromptPrefixBytes)};
}

}  // namespace truekeel::protocol
