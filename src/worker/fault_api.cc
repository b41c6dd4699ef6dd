// SPDX-License-Identifier: Apache-2.0
// /v1/fault: which faults a drill has injected here, and what they have done.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/log.h"
#include "worker/field_reader.h"
#include "worker/shared.h"

namespace truekeel::worker {
namespace {

using protocol::ApiError;
using OrderedJson = nlohmann::ordered_json;

ApiError bad_request(std::string message) {
  return {.status = 400, .message = std::move(message), .param = "faults", .code = ""};
}

std::string faults_json(const FaultInjector& injector) {
  auto faults = OrderedJson::array();
  for (const auto& fault : injector.faults()) faults.push_back(to_string(fault));
  const auto counts = injector.counts();
  const auto first = counts.first_replaced ? OrderedJson(counts.first_replaced->time_since_epoch().count())
                                           : OrderedJson(nullptr);
  return OrderedJson{{"faults", std::move(faults)},
                     {"tokens", counts.tokens},
                     {"replaced", counts.replaced},
                     {"answers_harmed", counts.answers_harmed},
                     {"first_replaced_ms", first}}
      .dump();
}

protocol::ApiResult<std::vector<Fault>> parse_faults(const std::string& body) {
  const auto object = parse_object(body);
  if (!object) return std::unexpected(object.error());
  const auto list = object->find("faults");
  const auto is_text = [](const Json& each) { return each.is_string(); };
  if (list == object->end() || !list->is_array() || !std::ranges::all_of(*list, is_text))
    return std::unexpected(bad_request(R"(The body must be as {"faults": ["tail:0.008"]}.)"));
  std::vector<Fault> faults;
  for (const auto& text : *list) {
    auto fault = parse_fault(text.get<std::string>());
    if (!fault) return std::unexpected(bad_request(std::move(fault.error().message)));
    faults.push_back(*fault);
  }
  return faults;
}

}  // namespace

http::Task<void> handle_fault(Call& call) {
  auto& injector = *call.shared.faults;
  const auto& request = call.exchange.request();
  // Pages of a browser state where they are from; none has a business here.
  if (request.headers.find("origin")) {
    co_return co_await respond_error(
        call, {.status = 403, .message = "Web pages may not do this.", .param = "", .code = "forbidden"});
  }
  if (request.method == "POST") {
    auto faults = parse_faults(call.exchange.body());
    if (!faults) co_return co_await respond_error(call, faults.error());
    if (auto done = injector.set(std::move(*faults)); !done)
      co_return co_await respond_error(call, bad_request(std::move(done.error().message)));
    log_warning("drill.faults", {{"count", injector.faults().size()}});
  } else if (request.method != "GET") {
    co_return co_await respond_error(call, {.status = 405,
                                            .message = "'/v1/fault' takes GET and POST.",
                                            .param = "",
                                            .code = "method_not_allowed"});
  }
  co_await respond_json(call, faults_json(injector));
}

}  // namespace truekeel::worker
