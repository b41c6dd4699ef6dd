// SPDX-License-Identifier: Apache-2.0
// Tools of the Messages API as functions of a chat. Internal to this layer: included by sources only.
#pragma once

#include <string>

#include "protocol/body_walk.h"

namespace truekeel::protocol {

/// The array of functions for `tools`; empty when there are none. A tool that runs at the provider (search,
/// code, a computer) is a fault: nobody would run it here.
[[nodiscard]] std::string read_tools(BodyWalk& walk, od::value value, unsigned depth);

/// What `tool_choice` says.
struct ToolChoice {
  std::string json;          ///< for a chat's tool_choice; empty: left to the model
  bool one_call = false;     ///< at most one call in an answer
  bool needs_tools = false;  ///< a tool must be called
};
[[nodiscard]] ToolChoice read_tool_choice(BodyWalk& walk, od::value value, unsigned depth);

}  // namespace truekeel::protocol
