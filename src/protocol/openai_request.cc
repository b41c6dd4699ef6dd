// SPDX-License-Identifier: Apache-2.0
#include "protocol/openai_request.h"

#include <algorithm>
#include <bitset>

#include "protocol/prompt_walk.h"

namespace truekeel::protocol {
namespace {

struct Member {
  std::string_view name;
  od::value value;
  std::string_view token;

  [[nodiscard]] bool container() const { return token == "{" || token == "["; }
};

/// Takes the members of a body one by one.
class RequestWalk {
  static constexpr std::size_t kUsualMembers = 16;

 public:
  RequestWalk(OpenAiCall call, BodyWalk& walk) : walk_(walk) {
    request_.call = call;
    request_.members.reserve(kUsualMembers);
  }

  void take(Member member, std::size_t begin);
  [[nodiscard]] ApiResult<OpenAiRequest> finish() &&;

 private:
  struct Field {
    std::string_view name;
    void (*take)(RequestWalk&, Member&);
  };
  static const std::array<Field, 25> kFields;

  void fail(const Member& member, std::string_view must) { walk_.fail_field(std::string(member.name), must); }

  void text(const Member& member, std::string& out) { out = string_field(walk_, member.token, member.name); }

  void flag(const Member& member, bool& out) {
    if (member.token != "true" && member.token != "false") return fail(member, "must be true or false");
    out = member.token == "true";
  }

  std::uint64_t count(const Member& member) {
    const auto value = whole_number(member.token);
    if (!value) fail(member, "must be a whole number of at least 0");
    return value.value_or(0);
  }

  /// Whether a container that the server alone reads holds anything.
  bool filled(const Member& member) {
    const TextRange range = walk_.skip(member.value, member.token, 1);
    return member.container() && range.end - range.begin > 2;
  }

  // A wrong kind is for the server to refuse; its JSON is checked like any other.
  std::optional<double> number_of(const Member& member) {
    if (member.container()) walk_.skip(member.value, member.token, 1);
    return number_as<double>(member.token);
  }
  std::optional<std::int64_t> integer_of(const Member& member) {
    if (member.container()) walk_.skip(member.value, member.token, 1);
    return number_as<std::int64_t>(member.token);
  }

  void stream_options(const Member& member);
  void response_format(const Member& member);
  void logprobs(const Member& member);
  void prompt(const Member& member);

  BodyWalk& walk_;
  OpenAiRequest request_;
  PromptFacts facts_;
  std::bitset<std::tuple_size_v<decltype(kFields)>> seen_;
};

using W = RequestWalk;

const std::array<W::Field, 25> W::kFields = {{
    {"model", [](W& w, Member& m) { w.text(m, w.request_.model); }},
    {"stream", [](W& w, Member& m) { w.flag(m, w.request_.stream); }},
    {"stream_options", [](W& w, Member& m) { w.stream_options(m); }},
    {"max_tokens", [](W& w, Member& m) { w.request_.max_tokens = w.count(m); }},
    {"max_completion_tokens", [](W& w, Member& m) { w.request_.max_completion_tokens = w.count(m); }},
    {"n_predict", [](W& w, Member& m) { w.request_.n_predict = w.count(m); }},
    {"n", [](W& w, Member& m) { w.request_.n = w.count(m); }},
    {"user", [](W& w, Member& m) { w.text(m, w.request_.user); }},
    {"prompt_cache_key", [](W& w, Member& m) { w.text(m, w.request_.prompt_cache_key); }},
    {"logprobs", [](W& w, Member& m) { w.logprobs(m); }},
    {"top_logprobs", [](W& w, Member& m) { w.request_.top_logprobs = w.count(m); }},
    {"tools", [](W& w, Member& m) { w.request_.tools |= w.filled(m); }},
    {"functions", [](W& w, Member& m) { w.request_.tools |= w.filled(m); }},
    {"response_format", [](W& w, Member& m) { w.response_format(m); }},
    {"messages", [](W& w, Member& m) { w.prompt(m); }},
    {"prompt", [](W& w, Member& m) { w.prompt(m); }},
    {"suffix",
     [](W& w, Member& m) {
       std::string suffix;
       w.text(m, suffix);
       w.facts_.shape.suffix_bytes = suffix.size();
     }},
    {"temperature", [](W& w, Member& m) { w.request_.sampling.temperature = w.number_of(m); }},
    {"top_p", [](W& w, Member& m) { w.request_.sampling.top_p = w.number_of(m); }},
    {"min_p", [](W& w, Member& m) { w.request_.sampling.min_p = w.number_of(m); }},
    {"top_k", [](W& w, Member& m) { w.request_.sampling.top_k = w.integer_of(m); }},
    {"seed", [](W& w, Member& m) { w.request_.sampling.seed = w.integer_of(m); }},
    {"presence_penalty", [](W& w, Member& m) { w.request_.sampling.presence_penalty = w.number_of(m); }},
    {"frequency_penalty", [](W& w, Member& m) { w.request_.sampling.frequency_penalty = w.number_of(m); }},
    {"logit_bias", [](W& w, Member& m) { w.request_.sampling.logit_bias = w.filled(m); }},
}};

void RequestWalk::stream_options(const Member& member) {
  if (member.token != "{") return fail(member, "must be an object");
  walk_object(walk_, member.value, [&](std::string_view name, od::value value) {
    const std::string_view token = token_of(value);
    walk_.skip(value, token, 2);
    if (name == "include_usage" && !is_null(token)) {
      flag({"stream_options.include_usage", value, token}, request_.include_usage);
    }
  });
}

void RequestWalk::response_format(const Member& member) {
  if (member.token != "{") return fail(member, "must be an object");
  request_.response_format = true;
  walk_object(walk_, member.value, [&](std::string_view name, od::value value) {
    const std::string_view token = token_of(value);
    walk_.skip(value, token, 2);
    if (name == "type" && token == R"("text")") request_.response_format = false;
  });
}

/// Chat asks by true, with the number in top_logprobs; completions by the number.
void RequestWalk::logprobs(const Member& member) {
  if (request_.call == OpenAiCall::chat) return flag(member, request_.logprobs);
  request_.top_logprobs = count(member);
  request_.logprobs = true;
}

void RequestWalk::prompt(const Member& member) {
  const bool chat = request_.call == OpenAiCall::chat;
  if ((member.name == "messages") != chat) {
    walk_.skip(member.value, member.token, 1);
  } else if (chat) {
    walk_messages(walk_, member.value, facts_, nullptr);
  } else {
    walk_prompt(walk_, member.value, facts_, nullptr);
  }
}

void RequestWalk::take(Member member, std::size_t begin) {
  const auto* const field = std::ranges::find(kFields, member.name, &Field::name);
  if (!member.container()) walk_.skip(member.value, member.token, 1);
  if (walk_.fault) return;
  if (field != kFields.end()) {
    const auto place = static_cast<std::size_t>(field - kFields.begin());
    if (seen_[place]) return fail(member, "is given twice");
    seen_[place] = true;
  }
  if (field != kFields.end() && !is_null(member.token)) {
    field->take(*this, member);
  } else if (member.container()) {
    walk_.skip(member.value, member.token, 1);
  }
  if (walk_.fault) return;
  if (request_.members.size() == kJsonMembersMax) return walk_.fail_json(kTooManyMembers);
  const TextRange range = walk_.range(member.token);
  request_.members.push_back({std::string(member.name), begin, range});
}

ApiResult<OpenAiRequest> RequestWalk::finish() && {
  const bool chat = request_.call == OpenAiCall::chat;
  if (request_.model.empty()) walk_.fail_field("model", "is required");
  if (facts_.shape.messages == 0) walk_.fail_field(chat ? "messages" : "prompt", "is required");
  if (walk_.fault) return std::unexpected(*std::move(walk_.fault));
  request_.prompt = facts_.shape;
  request_.stable_prefix = facts_.stable_prefix;
  return std::move(request_);
}

}  // namespace

ApiResult<OpenAiRequest> read_openai_request(OpenAiCall call, JsonParser& parser, const std::string& body) {
  od::document document;
  BodyWalk walk{parser.impl(), document, {}};
  RequestWalk request(call, walk);
  walk_body(walk, body, [&](std::string_view name, od::value value, std::size_t begin) {
    request.take({name, value, token_of(value)}, begin);
  });
  return std::move(request).finish();
}

ApiResult<std::vector<ChatMessage>> read_messages(JsonParser& parser, const std::string& body) {
  od::document document;
  BodyWalk walk{parser.impl(), document, {}};
  PromptFacts facts;
  std::vector<ChatMessage> messages;
  walk_body(walk, body, [&](std::string_view name, od::value value, std::size_t) {
    if (name == "messages") walk_messages(walk, value, facts, &messages);
  });
  if (walk.fault) return std::unexpected(*std::move(walk.fault));
  return messages;
}

ApiResult<std::vector<std::string>> read_prompts(JsonParser& parser, const std::string& body) {
  od::document document;
  BodyWalk walk{parser.impl(), document, {}};
  PromptFacts facts;
  std::vector<std::string> prompts;
  walk_body(walk, body, [&](std::string_view name, od::value value, std::size_t) {
    if (name == "prompt") walk_prompt(walk, value, facts, &prompts);
  });
  if (walk.fault) return std::unexpected(*std::move(walk.fault));
  return prompts;
}

}  // namespace truekeel::protocol
