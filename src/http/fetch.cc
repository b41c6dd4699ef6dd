// SPDX-License-Identifier: Apache-2.0
#include "http/fetch.h"

#include <boost/asio/io_context.hpp>
#include <utility>

#include "http/tcp_net.h"

namespace truekeel::http {
namespace {

Task<void> call(Net& net, const Endpoint& to, const RequestHead& head, std::string_view body, Duration limit,
                std::size_t bytes_max, CallResult<Fetched>& result) {
  Client client(net, {});
  Call exchange(client);
  const CallOptions limits = {.first_byte = limit, .idle = limit, .deadline = net.now() + limit};
  if (auto sent = co_await exchange.send(to, head, body, limits); !sent) {
    result = std::unexpected(std::move(sent.error()));
    co_return;
  }
  auto text = co_await exchange.read_all(bytes_max);
  if (text) {
    result = Fetched{exchange.head().status, std::move(*text)};
  } else {
    result = std::unexpected(std::move(text.error()));
  }
}

}  // namespace

CallResult<Fetched> fetch(const Place& place, std::string_view method, std::string_view path,
                          std::string_view body, Duration limit, std::size_t bytes_max) {
  RequestHead head{.method = std::string(method),
                   .target = place.prefix + std::string(path),
                   .minor_version = 1,
                   .headers = {}};
  if (!body.empty()) head.headers.add("content-type", "application/json");
  boost::asio::io_context context(1);
  const auto net = make_tcp_net(context);
  CallResult<Fetched> result;
  spawn(*net, call(*net, place.endpoint, head, body, limit, bytes_max, result));
  context.run();
  return result;
}

}  // namespace truekeel::http
