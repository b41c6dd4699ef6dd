// SPDX-License-Identifier: Apache-2.0
#include "worker/request.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "select/weight.h"
#include "worker/field_reader.h"

namespace truekeel::worker {
namespace {

using engine::Message;
using protocol::ApiError;
using protocol::ApiResult;

/// A field of OpenAI's API, or of servers like this one, that would change the answer and that we cannot
/// honour; and the values, as a JSON array, with which it changes nothing.
struct Unsupported {
  std::string_view name;
  std::string_view harmless;
};
constexpr std::array<Unsupported, 29> kUnsupported = {{
    {"tools", "[[]]"},
    {"tool_choice", R"(["none", "auto"])"},
    {"functions", "[[]]"},
    {"function_call", R"(["none", "auto"])"},
    {"response_format", R"([{"type": "text"}])"},
    {"modalities", R"([["text"]])"},
    {"audio", "[]"},
    {"prediction", "[]"},
    {"web_search_options", "[]"},
    {"reasoning_effort", R"(["none"])"},
    {"verbosity", R"(["medium"])"},
    {"suffix", R"([""])"},
    {"echo", "[false]"},
    {"best_of", "[1]"},
    {"grammar", R"([""])"},
    {"json_schema", "[]"},
    {"guided_json", "[]"},
    {"guided_regex", "[]"},
    {"guided_choice", "[]"},
    {"structured_outputs", "[]"},
    {"repetition_penalty", "[1, 1.0]"},
    {"repeat_penalty", "[1, 1.0]"},
    {"min_tokens", "[0]"},
    {"typical_p", "[1, 1.0]"},
    {"mirostat", "[0]"},
    {"dry_multiplier", "[0, 0.0]"},
    {"xtc_probability", "[0, 0.0]"},
    {"use_beam_search", "[false]"},
    {"chat_template", "[]"},
}};

constexpr std::size_t kStopsMax = 16, kStopBytesMax = 1024;

void refuse_unsupported(FieldReader& reader) {
  for (const auto& [name, harmless] : kUnsupported) {
    const auto* field = reader.find(name);
    if (field == nullptr) continue;
    const auto values = Json::parse(harmless);
    if (std::ranges::find(values, *field) == values.end()) {
      reader.refuse(name, fmt::format("'{}' is not supported by this server.", name));
    }
  }
}

std::optional<std::vector<Token>> read_tokens(const Json& list, std::uint32_t vocabulary) {
  std::vector<Token> tokens;
  tokens.reserve(list.size());
  for (const auto& item : list) {
    if (!item.is_number_unsigned() || item.get<std::uint64_t>() >= vocabulary) return std::nullopt;
    tokens.push_back(static_cast<Token>(item.get<std::uint64_t>()));
  }
  return tokens;
}

/// A message's content: a string, or text parts, which templates join by line breaks.
std::optional<std::string> read_content(FieldReader& reader, const Json& content, const std::string& path) {
  if (content.is_string()) return content.get<std::string>();
  if (!content.is_array()) {
    reader.refuse(path, "A message's content must be a string or an array of text parts.");
    return std::nullopt;
  }
  std::string text;
  for (std::size_t i = 0; i < content.size(); ++i) {
    const auto& part = content[i];
    const auto part_path = fmt::format("{}[{}]", path, i);
    if (!part.is_object() || !part.contains("type") || !part["type"].is_string()) {
      reader.refuse(part_path, "A content part must be an object with a type.");
      return std::nullopt;
    }
    if (part["type"] != "text" || !part.contains("text") || !part["text"].is_string()) {
      reader.refuse(part_path + ".type",
                    fmt::format("Content parts of type '{}' are not supported by this server.",
                                part["type"].get<std::string>()));
      return std::nullopt;
    }
    if (i > 0) text += '\n';
    text += part["text"].get_ref<const std::string&>();
  }
  return text;
}

std::vector<Message> read_messages(FieldReader& reader) {
  std::vector<Message> messages;
  const auto* list = reader.find("messages");
  if (list == nullptr || !list->is_array() || list->empty()) {
    reader.refuse("messages", "'messages' must be an array of at least one message.");
    return messages;
  }
  for (std::size_t i = 0; i < list->size() && !reader.failed(); ++i) {
    const auto& item = (*list)[i];
    const auto path = fmt::format("messages[{}]", i);
    if (!item.is_object() || !item.contains("role") || !item["role"].is_string()) {
      reader.refuse(path + ".role", "A message must be an object with a role.");
      break;
    }
    for (const auto* field : {"tool_calls", "function_call", "audio"}) {
      if (item.contains(field) && !item[field].is_null() && !item[field].empty()) {
        reader.refuse(path + "." + field, fmt::format("'{}' is not supported by this server.", field));
      }
    }
    if (!item.contains("content")) {
      reader.refuse(path + ".content", "A message must have a content.");
      break;
    }
    auto content = read_content(reader, item["content"], path + ".content");
    if (content) messages.push_back({item["role"].get<std::string>(), std::move(*content)});
  }
  return messages;
}

/// A text, or token ids; an array of one prompt counts as that prompt.
std::variant<std::string, std::vector<Token>> read_text_or_tokens(FieldReader& reader, std::string_view name,
                                                                  std::uint32_t vocabulary) {
  const auto* field = reader.find(name);
  if (field != nullptr && field->is_array() && field->size() == 1 && !field->front().is_number()) {
    field = &field->front();
  }
  if (field != nullptr && field->is_string()) return field->get<std::string>();
  if (field != nullptr && field->is_array() && (field->empty() || field->front().is_number())) {
    if (auto tokens = read_tokens(*field, vocabulary)) return std::move(*tokens);
    reader.refuse(name, fmt::format("'{}' must hold token ids below {}.", name, vocabulary));
  }
  reader.refuse(name, fmt::format("'{}' must be one string or one array of token ids.", name));
  return std::string();
}

Prompt as_prompt(std::variant<std::string, std::vector<Token>> given) {
  if (auto* tokens = std::get_if<std::vector<Token>>(&given)) return std::move(*tokens);
  return std::get<std::string>(std::move(given));
}

/// `messages` where given, else the text or tokens of one of `names`.
Prompt read_prompt(FieldReader& reader, std::initializer_list<std::string_view> names,
                   std::uint32_t vocabulary) {
  if (reader.find("messages") != nullptr) return read_messages(reader);
  for (const auto name : names) {
    if (reader.find(name) == nullptr) continue;
    return as_prompt(read_text_or_tokens(reader, name, vocabulary));
  }
  reader.refuse(*names.begin(), fmt::format("'{}' is missing, and so is 'messages'.", *names.begin()));
  return {};
}

std::vector<std::string> read_stop(FieldReader& reader) {
  const auto* field = reader.find("stop");
  if (field == nullptr) return {};
  std::vector<std::string> stop;
  if (field->is_string()) stop.push_back(field->get<std::string>());
  if (field->is_array()) {
    for (const auto& item : *field) stop.push_back(item.is_string() ? item.get<std::string>() : "");
  }
  const auto bad = [](const auto& text) { return text.empty() || text.size() > kStopBytesMax; };
  if (!(field->is_string() || field->is_array()) || stop.size() > kStopsMax ||
      std::ranges::any_of(stop, bad)) {
    reader.refuse("stop", fmt::format("'stop' must be a string or an array of at most {} strings, none of "
                                      "them empty or longer than {} bytes.",
                                      kStopsMax, kStopBytesMax));
    return {};
  }
  return stop;
}

std::vector<select::TokenBias> read_bias(FieldReader& reader, std::uint32_t vocabulary) {
  const auto* field = reader.find("logit_bias");
  if (field == nullptr) return {};
  std::vector<select::TokenBias> bias;
  const auto refuse = [&] {
    reader.refuse(
        "logit_bias",
        fmt::format("'logit_bias' must map token ids below {}, each once, to numbers from -100 to 100.",
                    vocabulary));
    return std::vector<select::TokenBias>();
  };
  if (!field->is_object()) return refuse();
  for (const auto& [name, value] : field->items()) {
    std::uint32_t id = 0;
    const auto* end = name.data() + name.size();
    const auto [read, error] = std::from_chars(name.data(), end, id);
    if (error != std::errc() || read != end || id >= vocabulary || !value.is_number()) return refuse();
    const auto number = value.get<double>();
    if (!(number >= -100 && number <= 100)) return refuse();
    bias.push_back({id, static_cast<float>(number)});
  }
  std::ranges::sort(bias, {}, &select::TokenBias::id);
  // "5" and "05" are two names of one token.
  if (std::ranges::adjacent_find(bias, {}, &select::TokenBias::id) != bias.end()) return refuse();
  return bias;
}

std::optional<std::uint64_t> read_seed(FieldReader& reader) {
  const auto* field = reader.find("seed");
  if (field == nullptr) return std::nullopt;
  if (field->is_number_unsigned()) return field->get<std::uint64_t>();
  if (field->is_number_integer()) return static_cast<std::uint64_t>(field->get<std::int64_t>());
  reader.refuse("seed", "'seed' must be an integer.");
  return std::nullopt;
}

Sampling read_sampling(FieldReader& reader, std::uint32_t vocabulary) {
  Sampling sampling;
  sampling.temperature = static_cast<float>(reader.number("temperature", 1, 0, 100));
  if (sampling.temperature > 0 && sampling.temperature < select::kTemperatureMin) {
    reader.refuse("temperature", "'temperature' is too small; 0 takes the most probable token.");
  }
  sampling.top_p = reader.number("top_p", 1, 0, 1);
  sampling.min_p = reader.number("min_p", 0, 0, 1);
  // vLLM writes -1 for off.
  const auto* top_k = reader.find("top_k");
  if (top_k == nullptr || *top_k != -1) {
    sampling.top_k = static_cast<std::uint32_t>(reader.integer("top_k", 0, INT32_MAX).value_or(0));
  }
  sampling.presence = static_cast<float>(reader.number("presence_penalty", 0, -2, 2));
  sampling.frequency = static_cast<float>(reader.number("frequency_penalty", 0, -2, 2));
  sampling.bias = read_bias(reader, vocabulary);
  return sampling;
}

Audit read_audit(FieldReader& reader) {
  const auto* field = reader.find("audit");
  if (field == nullptr) return Audit::none;
  if (*field == "basic") return Audit::basic;
  if (*field != "full") reader.refuse("audit", "'audit' must be \"basic\" or \"full\".");
  return Audit::full;
}

/// What chat and completions share.
void read_common(FieldReader& reader, const RequestLimits& limits, GenerateRequest& request) {
  refuse_unsupported(reader);
  request.sampling = read_sampling(reader, limits.vocabulary);
  const auto seed = read_seed(reader);
  request.has_seed = seed.has_value();
  request.sampling.seed = seed.value_or(0);
  request.stop = read_stop(reader);
  request.ignore_end = reader.flag("ignore_eos", false);
  request.token_ids = reader.flag("return_token_ids", false);
  request.audit = read_audit(reader);
  request.choices = static_cast<std::uint32_t>(reader.integer("n", 1, limits.choices_max).value_or(1));
  for (const auto* name : {"max_completion_tokens", "max_tokens"}) {
    const auto value = reader.integer(name, 1, INT32_MAX);
    if (value && !request.max_tokens) request.max_tokens = static_cast<std::uint32_t>(*value);
  }
  request.stream = reader.flag("stream", false);
  if (const auto* options = reader.find("stream_options")) {
    if (!options->is_object()) return reader.refuse("stream_options", "'stream_options' must be an object.");
    request.include_usage = options->value("include_usage", Json(false)) == true;
  }
}

void check_model(FieldReader& reader, const RequestLimits& limits, std::optional<ApiError>& wrong_model) {
  const auto model = reader.text("model");
  if (!model || *model == limits.model) return;
  wrong_model = {.status = 404,
                 .message = fmt::format("The model '{}' is not served here; '{}' is.", *model, limits.model),
                 .param = "model",
                 .code = "model_not_found"};
}

/// Reads the body as an object, checks the model, lets `read` do the rest, and reports the first fault.
template <class Request, class Read>
ApiResult<Request> parse(const std::string& body, const RequestLimits& limits, Read read) {
  const auto object = parse_object(body);
  if (!object) return std::unexpected(object.error());
  FieldReader reader(*object);
  std::optional<ApiError> wrong_model;
  check_model(reader, limits, wrong_model);
  if (wrong_model.has_value()) return std::unexpected(*wrong_model);
  Request request;
  read(reader, request);
  if (const auto& error = reader.error(); error.has_value()) return std::unexpected(*error);
  return request;
}

/// The hash of the numerics as the answer or its server told it.
void read_numerics(FieldReader& reader, ReplayRequest& request) {
  const auto is_hex = [](std::string_view text) {
    return text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
  };
  if (const auto name = reader.text("system_fingerprint")) {
    if (name->size() != 19 || !name->starts_with("tk-") || !is_hex(name->substr(3))) {
      reader.refuse("system_fingerprint",
                    "'system_fingerprint' must be that of a truekeel worker: tk- and 16 hex digits.");
    }
    request.numerics = name->substr(std::min<std::size_t>(3, name->size()), 8);
    request.numerics_field = "system_fingerprint";
  }
  if (const auto hash = reader.text("numerics")) {
    if (hash->size() != 16 || !is_hex(*hash)) {
      reader.refuse("numerics", "'numerics' must be 16 hex digits, as GET /v1/fingerprint tells them.");
    }
    request.numerics = *hash;
    request.numerics_field = "numerics";
  }
}

/// The tokens and the seed of the answer: a replay without one of them says nothing.
void read_answer(FieldReader& reader, const RequestLimits& limits, ReplayRequest& request) {
  const auto* tokens = reader.find("tokens");
  auto read =
      tokens != nullptr && tokens->is_array() ? read_tokens(*tokens, limits.vocabulary) : std::nullopt;
  if (!read || read->empty()) {
    reader.refuse("tokens", fmt::format("'tokens' must hold the answer's token ids, at least one, below {}; "
                                        "ask for them with \"return_token_ids\": true.",
                                        limits.vocabulary));
  } else {
    request.tokens = std::move(*read);
  }
  if (reader.find("seed") == nullptr && request.sampling.temperature > 0) {
    reader.refuse("seed", "'seed' is missing; the answer tells the one that was used.");
  }
  request.sampling.seed = read_seed(reader).value_or(0);
  request.sampling.stream = static_cast<std::uint32_t>(reader.integer("choice", 0, UINT16_MAX).value_or(0));
}

void read_replay_mode(FieldReader& reader, ReplayRequest& request) {
  const auto mode = reader.text("mode").value_or("exact");
  if (mode != "exact" && mode != "fast") reader.refuse("mode", "'mode' must be \"exact\" or \"fast\".");
  request.mode = mode == "fast" ? Mode::replay_fast : Mode::replay_exact;
  request.tolerance = reader.number("tolerance", kReplayTolerance, 0, 1);
}

}  // namespace

ApiResult<GenerateRequest> parse_chat(const std::string& body, const RequestLimits& limits) {
  return parse<GenerateRequest>(body, limits, [&](FieldReader& reader, GenerateRequest& request) {
    request.prompt = read_messages(reader);
    read_common(reader, limits, request);
    request.logprobs = reader.flag("logprobs", false);
    const auto top = reader.integer("top_logprobs", 0, kTopLogprobsMax);
    if (top && !request.logprobs) reader.refuse("top_logprobs", "'top_logprobs' needs 'logprobs': true.");
    request.top = static_cast<std::uint32_t>(top.value_or(0));
  });
}

ApiResult<GenerateRequest> parse_completion(const std::string& body, const RequestLimits& limits) {
  return parse<GenerateRequest>(body, limits, [&](FieldReader& reader, GenerateRequest& request) {
    request.prompt = as_prompt(read_text_or_tokens(reader, "prompt", limits.vocabulary));
    read_common(reader, limits, request);
    const auto top = reader.integer("logprobs", 0, kTopLogprobsMax);
    request.logprobs = top.has_value();
    request.top = static_cast<std::uint32_t>(top.value_or(0));
  });
}

ApiResult<ScoreRequest> parse_score(const std::string& body, const RequestLimits& limits) {
  return parse<ScoreRequest>(body, limits, [&](FieldReader& reader, ScoreRequest& request) {
    request.prompt = read_prompt(reader, {"prompt"}, limits.vocabulary);
    request.continuation = read_text_or_tokens(reader, "continuation", limits.vocabulary);
    request.top = static_cast<std::uint32_t>(reader.integer("top_logprobs", 0, kTopLogprobsMax).value_or(0));
  });
}

ApiResult<ReplayRequest> parse_replay(const std::string& body, const RequestLimits& limits) {
  return parse<ReplayRequest>(body, limits, [&](FieldReader& reader, ReplayRequest& request) {
    refuse_unsupported(reader);
    request.prompt = read_prompt(reader, {"prompt"}, limits.vocabulary);
    request.sampling = read_sampling(reader, limits.vocabulary);
    read_answer(reader, limits, request);
    read_numerics(reader, request);
    read_replay_mode(reader, request);
  });
}

ApiResult<TokenizeRequest> parse_tokenize(const std::string& body, const RequestLimits& limits) {
  return parse<TokenizeRequest>(body, limits, [&](FieldReader& reader, TokenizeRequest& request) {
    request.prompt = read_prompt(reader, {"content", "prompt"}, limits.vocabulary);
    request.options.add_special = reader.flag("add_special", false);
    request.options.parse_special = reader.flag("parse_special", true);
    request.stop_above = reader.integer("stop_above", 0, UINT64_MAX);
    request.with_tokens = !reader.flag("count_only", false);
  });
}

}  // namespace truekeel::worker
