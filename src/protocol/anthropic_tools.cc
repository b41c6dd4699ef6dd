// SPDX-License-Identifier: Apache-2.0
#include "protocol/anthropic_tools.h"

#include <fmt/format.h>

#include "protocol/anthropic_blocks.h"

namespace truekeel::protocol {
namespace {

std::string read_tool(BodyWalk& walk, od::value value, const std::string& param, unsigned depth) {
  if (token_of(value) != "{") {
    walk.fail_field(param, "must be an object");
    return {};
  }
  std::string type = "custom";
  std::string_view name, description, schema;
  bool strict = false;
  walk_object(walk, value, [&](std::string_view member, od::value v) {
    const std::string_view token = token_of(v);
    if (member == "type" && !is_null(token)) {
      type = string_field(walk, token, param + ".type");
    } else if (member == "name") {
      name = checked_string(walk, token, param + ".name");
    } else if (member == "description" && !is_null(token)) {
      description = checked_string(walk, token, param + ".description");
    } else if (member == "input_schema") {
      schema = checked_json(walk, v, depth + 1);
      if (token != "{") walk.fail_field(param + ".input_schema", "must be an object");
    } else {
      strict |= member == "strict" && token == "true";
      walk.skip(v, depth + 1);
    }
  });
  if (type != "custom")
    walk.fail_field(param + ".type", "must be \"custom\": nothing here runs tools of the provider");
  if (name.empty()) walk.fail_field(param + ".name", "is required");
  if (schema.empty()) walk.fail_field(param + ".input_schema", "is required");
  std::string json = fmt::format(R"({{"type":"function","function":{{"name":"{}")", name);
  if (!description.empty()) json += fmt::format(R"(,"description":"{}")", description);
  if (strict) json += R"(,"strict":true)";
  return json.append(R"(,"parameters":)").append(schema).append("}}");
}

}  // namespace

std::string read_tools(BodyWalk& walk, od::value value, unsigned depth) {
  if (token_of(value) != "[") {
    walk.fail_field("tools", "must be an array");
    return {};
  }
  std::string tools;
  walk_array(walk, value, [&](std::size_t index, od::value v) {
    tools += tools.empty() ? '[' : ',';
    tools += read_tool(walk, v, fmt::format("tools[{}]", index), depth + 1);
  });
  return tools.empty() ? tools : tools + ']';
}

ToolChoice read_tool_choice(BodyWalk& walk, od::value value, unsigned depth) {
  ToolChoice choice;
  if (token_of(value) != "{") {
    walk.fail_field("tool_choice", "must be an object");
    return choice;
  }
  std::string type;
  std::string_view name;
  walk_object(walk, value, [&](std::string_view member, od::value v) {
    const std::string_view token = token_of(v);
    if (member == "type") {
      type = string_field(walk, token, "tool_choice.type");
    } else if (member == "name") {
      name = checked_string(walk, token, "tool_choice.name");
    } else {
      choice.one_call |= member == "disable_parallel_tool_use" && token == "true";
      walk.skip(v, depth + 1);
    }
  });
  choice.needs_tools = type == "any" || type == "tool";
  if (type == "any") {
    choice.json = R"("required")";
  } else if (type == "none") {
    choice.json = R"("none")";
  } else if (type == "tool") {
    if (name.empty()) walk.fail_field("tool_choice.name", "is required");
    choice.json = fmt::format(R"({{"type":"function","function":{{"name":"{}"}}}})", name);
  } else if (type != "auto") {
    walk.fail_field("tool_choice.type", "must be \"auto\", \"any\", \"tool\" or \"none\"");
  }
  return choice;
}

}  // namespace truekeel::protocol
