// SPDX-License-Identifier: Apache-2.0
#include "protocol/anthropic_blocks.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace truekeel::protocol {
namespace {

/// Where the bytes of an image or a document come from.
struct Source {
  std::string_view type, media_type, data, url;
  MessageContent content;
  bool has_content = false;
};

/// The members of a block; absent strings have no data.
struct Block {
  std::string type;
  std::string_view text, id, name, input, tool_use_id, title, context;
  Source source;
  MessageContent content;
  bool is_error = false, has_source = false, cites = false;
};

ChatPart text_part(std::string_view text) { return {.text = text, .json = {}}; }

std::string text_object(std::string_view text) {
  return fmt::format(R"({{"type":"text","text":"{}"}})", text);
}

class BlockReader {
 public:
  BlockReader(BodyWalk& walk, std::string param, Speaker speaker, unsigned depth)
      : walk_(walk), param_(std::move(param)), speaker_(speaker), depth_(depth) {}

  void read(od::value value, MessageContent& out);

 private:
  void take(std::string_view name, od::value value);
  void take_source(od::value value);
  void add_text(MessageContent& out);
  void add_image(MessageContent& out);
  void add_document(MessageContent& out);
  void add_tool_use(MessageContent& out);
  void add_tool_result(MessageContent& out);

  void fail(std::string_view member, std::string_view must) {
    walk_.fail_field(param_ + std::string(member), must);
  }
  [[nodiscard]] bool require(std::string_view text, std::string_view member,
                             std::string_view must = "is required") {
    if (text.data() == nullptr) fail(member, must);
    return text.data() != nullptr;
  }
  [[nodiscard]] std::string_view string_of(std::string_view token, std::string_view member) {
    return checked_string(walk_, token, param_ + std::string(member));
  }

  BodyWalk& walk_;
  const std::string param_;
  const Speaker speaker_;
  const unsigned depth_;  // of the block's members
  Block block_;
};

void BlockReader::read(od::value value, MessageContent& out) {
  if (token_of(value) != "{") return fail("", "must be an object");
  walk_object(walk_, value, [&](std::string_view name, od::value v) { take(name, v); });
  if (walk_.fault) return;
  const std::string_view type = block_.type;
  const bool media = speaker_ != Speaker::system, tools = speaker_ == Speaker::message;
  if (type == "text") {
    add_text(out);
  } else if (type == "image" && media) {
    add_image(out);
  } else if (type == "document" && media) {
    add_document(out);
  } else if (type == "tool_use" && tools) {
    add_tool_use(out);
  } else if (type == "tool_result" && tools) {
    add_tool_result(out);
  } else if (type != "thinking" && type != "redacted_thinking") {
    fail(".type", "is no block that this model's servers can be given here");
  }
}

void BlockReader::take(std::string_view name, od::value value) {
  const std::string_view token = token_of(value);
  if (name == "type") {
    block_.type = string_field(walk_, token, param_ + ".type");
  } else if (name == "text" && is_string(token)) {
    block_.text = string_of(token, ".text");
  } else if (name == "id") {
    block_.id = string_of(token, ".id");
  } else if (name == "name") {
    block_.name = string_of(token, ".name");
  } else if (name == "tool_use_id") {
    block_.tool_use_id = string_of(token, ".tool_use_id");
  } else if (name == "input") {
    block_.input = checked_json(walk_, value, depth_);
    if (token != "{") fail(".input", "must be an object");
  } else if (name == "title" && is_string(token)) {
    block_.title = string_of(token, ".title");
  } else if (name == "context" && is_string(token)) {
    block_.context = string_of(token, ".context");
  } else if (name == "is_error") {
    block_.is_error = token == "true";
    walk_.skip(value, depth_);
  } else if (name == "source") {
    take_source(value);
  } else if (name == "content" && !is_null(token)) {
    block_.content = read_content(walk_, value, param_ + ".content", Speaker::tool, depth_);
  } else if (name == "citations" && token == "{") {
    walk_object(walk_, value, [&](std::string_view inner, od::value v) {
      const std::string_view t = token_of(v);
      block_.cites |= inner == "enabled" && t == "true";
      walk_.skip(v, depth_ + 1);
    });
  } else {
    walk_.skip(value, depth_);
  }
}

void BlockReader::take_source(od::value value) {
  if (token_of(value) != "{") return fail(".source", "must be an object");
  block_.has_source = true;
  Source& source = block_.source;
  walk_object(walk_, value, [&](std::string_view name, od::value v) {
    const std::string_view token = token_of(v);
    const std::string member = fmt::format(".source.{}", name);
    if (name == "type") {
      source.type = string_of(token, member);
    } else if (name == "media_type") {
      source.media_type = string_of(token, member);
    } else if (name == "data") {
      source.data = string_of(token, member);
    } else if (name == "url") {
      source.url = string_of(token, member);
    } else if (name == "content") {
      source.has_content = true;
      source.content = read_content(walk_, v, param_ + member, Speaker::tool, depth_ + 1);
    } else {
      walk_.skip(v, depth_ + 1);
    }
  });
}

void BlockReader::add_text(MessageContent& out) {
  if (require(block_.text, ".text", "must be a string")) out.parts.push_back(text_part(block_.text));
}

void BlockReader::add_image(MessageContent& out) {
  const Source& source = block_.source;
  if (!block_.has_source) return fail(".source", "is required");
  const auto add = [&](std::string_view url) {
    out.parts.push_back({{}, fmt::format(R"({{"type":"image_url","image_url":{{"url":"{}"}}}})", url)});
  };
  if (source.type == "url") {
    if (require(source.url, ".source.url")) add(source.url);
  } else if (source.type == "base64") {
    if (require(source.media_type, ".source.media_type") && require(source.data, ".source.data"))
      add(fmt::format("data:{};base64,{}", source.media_type, source.data));
  } else {
    fail(".source.type", "must be \"base64\" or \"url\": there are no stored files for this model");
  }
}

/// A document of text is text to the model, its title and context before it; a PDF goes as a file.
void BlockReader::add_document(MessageContent& out) {
  Source& source = block_.source;
  if (!block_.has_source) return fail(".source", "is required");
  if (block_.cites) return fail(".citations", "are not supported for this model");
  if (!block_.title.empty() && source.type != "base64") out.parts.push_back(text_part(block_.title));
  if (!block_.context.empty()) out.parts.push_back(text_part(block_.context));
  if (source.type == "text") {
    if (require(source.data, ".source.data")) out.parts.push_back(text_part(source.data));
  } else if (source.type == "content") {
    if (!source.has_content) return fail(".source.content", "is required");
    std::ranges::move(source.content.parts, std::back_inserter(out.parts));
  } else if (source.type == "base64") {
    if (!require(source.media_type, ".source.media_type") || !require(source.data, ".source.data")) return;
    const std::string_view name = block_.title.empty() ? "document" : block_.title;
    out.parts.push_back(
        {{},
         fmt::format(R"({{"type":"file","file":{{"filename":"{}","file_data":"data:{};base64,{}"}}}})", name,
                     source.media_type, source.data)});
  } else {
    fail(".source.type", "must be \"text\", \"content\" or \"base64\" for this model");
  }
}

void BlockReader::add_tool_use(MessageContent& out) {
  if (!require(block_.id, ".id") || !require(block_.name, ".name") || !require(block_.input, ".input"))
    return;
  out.tool_calls += fmt::format(R"({}{{"id":"{}","type":"function","function":{{"name":"{}","arguments":)",
                                out.tool_calls.empty() ? "" : ",", block_.id, block_.name);
  append_quoted(out.tool_calls, block_.input);
  out.tool_calls += "}}";
}

void BlockReader::add_tool_result(MessageContent& out) {
  if (!require(block_.tool_use_id, ".tool_use_id")) return;
  std::vector<ChatPart> said;
  if (block_.is_error) said.push_back(text_part("Error: "));
  for (auto& part : block_.content.parts) (part.json.empty() ? said : out.parts).push_back(std::move(part));
  std::string text;  // one: not every server joins the parts of an answer
  for (const auto& part : said) {
    if (!text.empty() && text != "Error: ") text += "\\n";
    text += part.text;
  }
  out.tool_messages += fmt::format(R"({}{{"role":"tool","tool_call_id":"{}","content":"{}"}})",
                                   out.tool_messages.empty() ? "" : ",", block_.tool_use_id, text);
}

}  // namespace

MessageContent read_content(BodyWalk& walk, od::value value, const std::string& param, Speaker speaker,
                            unsigned depth) {
  const std::string_view token = token_of(value);
  MessageContent content;
  if (depth >= kJsonDepthMax) {  // documents may hold content that holds documents
    walk.fail_json(simdjson::DEPTH_ERROR);
  } else if (is_string(token)) {
    content.parts.push_back(text_part(checked_string(walk, token, param)));
  } else if (token == "[") {
    walk_array(walk, value, [&](std::size_t index, od::value v) {
      BlockReader(walk, fmt::format("{}[{}]", param, index), speaker, depth + 2).read(v, content);
    });
  } else {
    walk.fail_field(param, "must be a string or an array of blocks");
  }
  return content;
}

std::string parts_json(const std::vector<ChatPart>& parts) {
  if (parts.empty()) return R"("")";
  if (parts.size() == 1 && parts[0].json.empty()) return fmt::format(R"("{}")", parts[0].text);
  std::string json;
  for (const auto& part : parts) {
    json += json.empty() ? '[' : ',';
    json += part.json.empty() ? text_object(part.text) : part.json;
  }
  return json + ']';
}

std::string_view checked_json(BodyWalk& walk, od::value value, unsigned depth) {
  const TextRange range = walk.skip(value, depth);
  if (walk.fault) return {};
  const std::string_view text(walk.impl.base + range.begin, range.end - range.begin);
  if (!json_unescaped_size(text)) walk.fail_json(simdjson::STRING_ERROR);
  return text;
}

std::string_view checked_string(BodyWalk& walk, std::string_view token, std::string_view param) {
  if (!is_string(token)) {
    walk.fail_field(std::string(param), "must be a string");
    return {};
  }
  if (!json_unescaped_size(inside_quotes(token))) walk.fail_json(simdjson::STRING_ERROR);
  return inside_quotes(token);
}

}  // namespace truekeel::protocol
