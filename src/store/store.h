// SPDX-License-Identifier: Apache-2.0
// The port to what outlives the process: incidents, changes, request records. Thread safety: each
// implementation serves any thread, one call at a time inside.
// Invariant: what write() acknowledged is there after a crash of the process; a batch is there whole or not
// at all. Never content.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "incident/incident.h"
#include "incident/request_record.h"

namespace truekeel::store {

/// An incident replaces the one of its number, a change that of its number, a record that of its id.
using Item = std::variant<incident::Incident, incident::Change, incident::RequestRecord>;

struct Retention {
  /// Closed incidents and changes that are older are forgotten, but for the last number of either.
  WallTime incidents_from{};
  /// Requests that were written at once are forgotten at once: with the last of them.
  WallTime requests_from{};
  std::uint64_t requests_max = 1'000'000;
};

class Store {
 public:
  virtual ~Store() = default;

  /// Error::unavailable when there is no room or the disk fails; then nothing of the batch is there.
  [[nodiscard]] virtual Result<void> write(std::span<const Item> batch) = 0;

  /// Forgets what is too old, a bounded number of rows a call. True when more is left: call it again.
  [[nodiscard]] virtual Result<bool> prune(const Retention& retention) = 0;

  /// The newest first.
  [[nodiscard]] virtual Result<std::vector<incident::Incident>> incidents(std::size_t most) = 0;
  [[nodiscard]] virtual Result<std::optional<incident::Incident>> incident(std::uint64_t number) = 0;
  /// The newest first, none older than `from`.
  [[nodiscard]] virtual Result<std::vector<incident::Change>> changes(WallTime from, std::size_t most) = 0;
  /// 0 when there is none.
  [[nodiscard]] virtual Result<std::uint64_t> last_change_number() = 0;
  [[nodiscard]] virtual Result<std::optional<incident::RequestRecord>> request(std::string_view id) = 0;
};

/// Forgets everything with its process; for tests, and for `store: memory`.
[[nodiscard]] std::unique_ptr<Store> make_memory_store();

}  // namespace truekeel::store
