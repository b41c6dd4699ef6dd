// SPDX-License-Identifier: Apache-2.0
// Lines from another process: no input may crash the reader, and accepted semantics survive a round trip.
#include <cstdint>
#include <string_view>

#include "base/assert.h"
#include "conformance/wire.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace truekeel::conformance;
  const std::string_view line(reinterpret_cast<const char*>(data), size);
  const Call call{.rows = {Row{}, Row{}}, .steps = 2};
  if (const auto draws = read_draws(line, call, 1)) TK_ASSERT(draws->size() == 4);
  if (const auto semantics = read_semantics(line)) {
    const auto again = read_semantics("{\"semantics\":" + semantics_json(*semantics) + "}");
    TK_ASSERT(again && semantics_json(*again) == semantics_json(*semantics));
  }
  return 0;
}
