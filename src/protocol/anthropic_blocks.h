// SPDX-License-Identifier: Apache-2.0
// Content blocks of the Messages API as parts of chat messages. Internal to this layer: included by sources
// only. Strings are copied as written, escapes and all; views hold as long as the body.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "protocol/body_walk.h"

namespace truekeel::protocol {

/// A part of a chat message: a text, between its quotes as written, or a whole object.
struct ChatPart {
  std::string_view text;
  std::string json;  ///< empty: a text
};

/// What a `content` holds.
struct MessageContent {
  std::vector<ChatPart> parts;
  std::string tool_calls;     ///< objects with commas between
  std::string tool_messages;  ///< the same: what tools answered, messages of their own in a chat
};

/// Where content stands, which bounds its blocks: text; that, images, documents, calls of tools and their
/// answers; or text, images and documents.
enum class Speaker { system, message, tool };

/// Reads a string or an array of blocks; `depth`: the containers around it. Thinking of earlier turns is left
/// out: no model sees it again. Images and documents become image_url, file and text parts, a tool's answer a
/// message, which begins "Error: " where the answer says so; its images go to the user's parts, for a chat
/// has none in answers of tools.
[[nodiscard]] MessageContent read_content(BodyWalk& walk, od::value value, const std::string& param,
                                          Speaker speaker, unsigned depth);

/// A string where there is one text at most, else an array: the server joins texts as it does for its
/// clients.
[[nodiscard]] std::string parts_json(const std::vector<ChatPart>& parts);

/// A container or scalar as written, checked to the escapes of its strings.
[[nodiscard]] std::string_view checked_json(BodyWalk& walk, od::value value, unsigned depth);

/// A string between its quotes, as written, checked; empty with a fault at `param` for anything else.
[[nodiscard]] std::string_view checked_string(BodyWalk& walk, std::string_view token, std::string_view param);

}  // namespace truekeel::protocol
