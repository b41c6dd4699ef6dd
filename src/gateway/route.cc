// SPDX-License-Identifier: Apache-2.0
#include "gateway/route.h"

#include <array>

namespace truekeel::gateway {
namespace {

using protocol::Provider;

struct Path {
  std::string_view path;
  std::string_view method;
  Operation operation;
  Provider provider;
};

constexpr std::array kPaths = {
    Path{"/chat/completions", "POST", Operation::chat, Provider::openai},
    Path{"/completions", "POST", Operation::completions, Provider::openai},
    Path{"/messages", "POST", Operation::messages, Provider::anthropic},
    Path{"/messages/count_tokens", "POST", Operation::count_tokens, Provider::anthropic},
    Path{"/models", "GET", Operation::list_models, Provider::openai},
};
constexpr std::string_view kModelPrefix = "/models/";

Route matched(const Path& path, std::string_view method) {
  const bool fits = method == path.method || (path.method == "GET" && method == "HEAD");
  return {.match = fits ? Route::Match::found : Route::Match::wrong_method,
          .operation = path.operation,
          .provider = path.provider,
          .argument = {},
          .allow = path.method};
}

}  // namespace

Route find_route(std::string_view method, std::string_view target, bool anthropic) {
  std::string_view path = target.substr(0, target.find('?'));
  if (path.starts_with("/v1/")) path.remove_prefix(3);
  for (const auto& known : kPaths) {
    if (path == known.path) return matched(known, method);
  }
  if (path.starts_with(kModelPrefix) && path.size() > kModelPrefix.size()) {
    auto route = matched({path, "GET", Operation::show_model, Provider::openai}, method);
    route.argument = path.substr(kModelPrefix.size());
    return route;
  }
  Route unknown;
  if (anthropic) unknown.provider = Provider::anthropic;
  return unknown;
}

std::string_view operation_name(Operation operation) {
  switch (operation) {
    case Operation::chat:
    case Operation::messages:
      return "chat";
    case Operation::completions:
      return "text_completion";
    case Operation::count_tokens:
      return "count_tokens";
    case Operation::list_models:
    case Operation::show_model:
      return "list_models";
  }
  return "";
}

}  // namespace truekeel::gateway
