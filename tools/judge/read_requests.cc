// SPDX-License-Identifier: Apache-2.0
// Says how our server reads bytes: for each netstring on standard input one on standard output, whose parts
// are netstrings too: how it ended (clean, within a message, refused, closed), then of each message method,
// target, body, number of fields, and each field's name and value. For judges that hold it against other
// servers.
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "http/parser.h"

namespace truekeel::http {
namespace {

std::string netstring(std::string_view text) {
  return std::to_string(text.size()) + ":" + std::string(text) + ",";
}

std::optional<std::string> next_input() {
  std::size_t size = 0;
  if (std::scanf("%zu:", &size) != 1) return std::nullopt;
  std::string text(size, '\0');
  const bool whole = std::fread(text.data(), 1, size, stdin) == size && std::getchar() == ',';
  return whole ? std::optional(text) : std::nullopt;
}

std::string describe(RequestParser& parser) {
  const RequestHead& head = parser.head();
  std::string text = netstring(head.method) + netstring(head.target) + netstring(parser.body()) +
                     netstring(std::to_string(head.headers.size()));
  for (const Field field : head.headers) text += netstring(field.name) + netstring(field.value);
  return text;
}

/// As a connection does: one message after the other, until one ends it.
std::string read(std::string_view bytes) {
  RequestParser parser({});
  std::string messages;
  const char* end = "clean";
  while (!bytes.empty()) {
    bytes.remove_prefix(parser.feed(bytes));
    if (parser.state() == MessageParser::State::failed) {
      end = "refused";
      break;
    }
    if (parser.state() != MessageParser::State::done) {
      end = "within";
      break;
    }
    messages += describe(parser);
    if (!parser.keep_alive()) {
      end = "closed";
      break;
    }
    parser.reset();
  }
  return netstring(end) + messages;
}

}  // namespace
}  // namespace truekeel::http

int main() {
  while (const auto input = truekeel::http::next_input()) {
    const std::string answer = truekeel::http::netstring(truekeel::http::read(*input));
    std::fwrite(answer.data(), 1, answer.size(), stdout);
    std::fflush(stdout);
  }
  return std::feof(stdin) ? EXIT_SUCCESS : EXIT_FAILURE;
}
