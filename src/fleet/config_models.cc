// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "fleet/config_sections.h"

namespace truekeel::fleet {
namespace {

constexpr std::size_t kClassesMax = 16;
constexpr std::uint64_t kWindowMin = 16;

void read_tokenizer(const Place& place, ModelConfig& model) {
  constexpr std::string_view kGguf = "gguf:";
  const auto text = place.text();
  if (!text) return;
  if (*text == "endpoint") {
    model.tokenizer = TokenizerKind::endpoint;
  } else if (*text == "bound") {
    model.tokenizer = TokenizerKind::bound;
  } else if (text->starts_with(kGguf) && text->size() > kGguf.size()) {
    model.tokenizer = TokenizerKind::gguf;
    model.gguf_path = text->substr(kGguf.size());
  } else {
    place.wrong(fmt::format("{} is no way to count tokens", quote(*text)),
                "write gguf:PATH (count here), endpoint (ask its /tokenize) or bound (bytes only)");
  }
}

void read_defaults(const Place& place, SamplingDefaults& defaults) {
  const Section section(place, {"temperature", "top_p", "min_p", "top_k"});
  defaults.temperature = section.number("temperature", {0, 100});
  defaults.top_p = section.number("top_p", {0, 1});
  defaults.min_p = section.number("min_p", {0, 1});
  if (const auto k = section.integer("top_k", {0, 1u << 24})) defaults.top_k = static_cast<std::int64_t>(*k);
}

void read_class(const Place& place, ModelConfig& model, ConfigDraft& draft) {
  const Section section(place, {"name", "max_tokens", "pool"});
  ContextClass made;
  made.name = section.name("name", kPlainName).value_or("");
  made.pool = section.name("pool", kPlainName).value_or("");
  made.max_tokens = static_cast<std::uint32_t>(
      section.integer("max_tokens", {kWindowMin, kTokensMax}, Presence::required).value_or(0));
  if (!made.pool.empty()) {
    draft.references.push_back({section.at("pool"), draft.config.models.size(), model.classes.size()});
  }
  if (!made.name.empty() && std::ranges::count(model.classes, made.name, &ContextClass::name) > 0) {
    section.at("name").wrong(fmt::format("the class '{}' is there already", made.name),
                             "give every class of a model its own name");
  }
  const std::uint32_t before = model.classes.empty() ? 0 : model.classes.back().max_tokens;
  if (made.max_tokens != 0 && made.max_tokens <= before) {
    section.at("max_tokens")
        .wrong(fmt::format("{} is not above {}, the class before", made.max_tokens, before),
               "order the classes by window, smallest first");
  }
  model.classes.push_back(std::move(made));
}

void read_classes(const Place& place, ModelConfig& model, ConfigDraft& draft) {
  const auto places = place.items("classes");
  if (places.size() > kClassesMax) {
    place.wrong(fmt::format("has {} classes", places.size()), fmt::format("use at most {}", kClassesMax));
    return;
  }
  for (const auto& item : places) read_class(item, model, draft);
}

void check_room(const Section& section, const ModelConfig& model) {
  if (model.classes.empty() || model.classes.back().max_tokens == 0) return;
  if (model.default_max_output < model.classes.back().max_tokens) return;
  section.at("default_max_output")
      .wrong(fmt::format("default_max_output {} leaves no room for a prompt in the largest window, {}",
                         model.default_max_output, model.classes.back().max_tokens),
             "lower default_max_output or raise the largest class");
}

void read_model(const Place& place, ConfigDraft& draft) {
  const Section section(place, {"name", "tokenizer", "default_max_output", "defaults", "classes"});
  ModelConfig model;
  model.name = section.name("name", kModelName).value_or("");
  if (!model.name.empty() && draft.config.find_model(model.name) != nullptr) {
    section.at("name").wrong(fmt::format("the model '{}' is there already", model.name),
                             "give every model its own name");
  }
  if (const auto tokenizer = section.child("tokenizer", Presence::required)) {
    read_tokenizer(*tokenizer, model);
  }
  if (const auto n = section.integer("default_max_output", {1, kTokensMax})) {
    model.default_max_output = static_cast<std::uint32_t>(*n);
  }
  if (const auto defaults = section.child("defaults")) read_defaults(*defaults, model.defaults);
  if (const auto classes = section.child("classes", Presence::required)) {
    read_classes(*classes, model, draft);
  }
  check_room(section, model);
  draft.config.models.push_back(std::move(model));
  draft.tokenizers.push_back(section.at("tokenizer"));
}

}  // namespace

void read_models(const Place& place, ConfigDraft& draft) {
  for (const auto& item : place.items("models")) {
    // Names are compared with all before: a file that is all mistakes need not be read to its end.
    if (draft.problems.full()) return;
    read_model(item, draft);
  }
}

}  // namespace truekeel::fleet
