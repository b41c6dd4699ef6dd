// SPDX-License-Identifier: Apache-2.0
// Any text is either a list of problems within its bounds, or clients within theirs.
#include <cstddef>
#include <cstdint>

#include "base/assert.h"
#include "fleet/client_keys.h"

using namespace truekeel;
using namespace truekeel::fleet;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto clients = parse_client_keys({reinterpret_cast<const char*>(data), size}, {});
  if (!clients) {
    TK_ASSERT(!clients.error().empty() && clients.error().size() <= kMaxProblems);
    for (const auto& problem : clients.error()) TK_ASSERT(problem.line >= 1 && problem.column >= 1);
    return 0;
  }
  TK_ASSERT(!clients->empty());
  for (const auto& client : *clients) {
    TK_ASSERT(!client.name.empty() && client.limits.concurrent >= 1 && client.limits.requests_per_s > 0);
  }
  ClientGate gate(*clients, Instant{});
  const auto stranger = hash_key("no such key");
  TK_ASSERT(!gate.admit(&stranger, Instant{}));
  return 0;
}
