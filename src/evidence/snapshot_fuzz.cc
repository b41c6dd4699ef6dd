// SPDX-License-Identifier: Apache-2.0
// Whatever the bytes are, restore() refuses them or leaves a lattice that works and saves again.
#include <xxhash.h>

#include <cstdint>
#include <cstring>
#include <string>

#include "base/assert.h"
#include "evidence/bounded_rate.h"
#include "evidence/snapshot.h"

using namespace truekeel::evidence;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const BoundedRate bet(1e-3);
  // The right beginning and checksum are put around the input, or nothing would get behind them.
  Lattice empty(bet.bets().log_weights());
  const std::string frame = save(empty, ValueNames(), 0, -20);
  constexpr std::size_t kHeader = 4 + 4 + 8 + 4;
  std::string bytes = frame.substr(0, kHeader) + std::string(reinterpret_cast<const char*>(data), size);
  const std::uint64_t sum = XXH3_64bits(bytes.data(), bytes.size());
  bytes.append(reinterpret_cast<const char*>(&sum), sizeof sum);

  Lattice lattice(bet.bets().log_weights());
  ValueNames names;
  const auto result = restore(bytes, lattice, names);
  TK_ASSERT(result || (lattice.nodes() == 0 && names.count(Attribute::endpoint) == 0));
  if (!result) return 0;
  const std::string again = save(lattice, names, result->tick, -20);
  Lattice second(bet.bets().log_weights());
  ValueNames second_names;
  TK_ASSERT(restore(again, second, second_names));
  return 0;
}
