// SPDX-License-Identifier: Apache-2.0
// Walks `messages` and `prompt` of a request. Internal to this layer: included by sources only.
#pragma once

#include <string>
#include <vector>

#include "protocol/body_walk.h"
#include "protocol/openai_request.h"

namespace truekeel::protocol {

struct PromptFacts {
  PromptShape shape;
  TextRange stable_prefix;
};

/// Walks the value of `messages`; decodes into `out` where it is given.
void walk_messages(BodyWalk& walk, od::value value, PromptFacts& facts, std::vector<ChatMessage>* out);

/// Walks the value of `prompt`; decodes into `out` where it is given.
void walk_prompt(BodyWalk& walk, od::value value, PromptFacts& facts, std::vector<std::string>* out);

}  // namespace truekeel::protocol
