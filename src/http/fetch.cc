// SPDX-License-Identifier: Apache-2.0
#include "http/fetch.h"

#include <boost/asio/io_context.hpp>
#include <utility>

#include "http/tcp_net.h"

namespace truekeel::http {

Task<CallResult<Fetched>> fetch(Net& net, Client& client, Endpoint to, std::string method, std::string path,
                                std::string body, Duration limit, std::size_t bytes_max, Headers headers) {
  RequestHead head{.method = std::move(method),
                   .target = std::move(path),
                   .minor_version = 1,
                   .headers = std::move(headers)};
  if (!body.empty()) head.headers.add("content-type", "application/json");
  const CallOptions limits = {
      .first_byte = limit, .idle = limit, .deadline = net.now() + limit, .idempotent = head.method == "GET"};
  Call call(client);
  if (auto sent = co_await call.send(to, head, body, limits); !sent)
    co_return std::unexpected(std::move(sent.error()));
  auto text = co_await call.read_all(bytes_max);
  if (!text) co_return std::unexpected(std::move(text.error()));
  co_return Fetched{call.head().status, std::move(*text)};
}

CallResult<Fetched> fetch(const Place& place, std::string_view method, std::string_view path,
                          std::string_view body, Duration limit, std::size_t bytes_max,
                          const Headers& headers) {
  boost::asio::io_context context(1);
  const auto net = make_tcp_net(context);
  CallResult<Fetched> result;
  const auto run = [&]() -> Task<void> {
    Client client(*net, {});
    result = co_await fetch(*net, client, place.endpoint, std::string(method),
                            place.prefix + std::string(path), std::string(body), limit, bytes_max, headers);
  };
  spawn(*net, run());
  context.run();
  return result;
}

}  // namespace truekeel::http
