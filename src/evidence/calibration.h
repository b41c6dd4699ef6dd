// SPDX-License-Identifier: Apache-2.0
// Tolerances: by how much a null may be wrong before it counts, with what confidence that is known, and from
// how many samples. Shipped ones arm a fresh fleet from its first token; live ones refine them within
// ceilings. Thread safety: values; a LiveTolerance serves one thread.
//
// A fault that is there from the first token must not become the norm: no tolerance passes its ceiling, and
// what is worse than the ceiling is suspect, by a sequential test that may be looked at at any time.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/bytes.h"
#include "evidence/bounded_rate.h"
#include "evidence/draw_null.h"
#include "evidence/gate.h"
#include "evidence/reported_row.h"
#include "evidence/token_audit.h"

namespace truekeel::evidence {

enum class Basis {
  construction,  ///< follows from how the engine works; the samples only agree with it
  measured,      ///< an upper bound at the stated confidence
  assumed,       ///< from documentation; nothing was measured
};

struct Tolerance {
  double value = 0;
  double confidence = 0;  ///< 0 unless measured
  std::uint64_t samples = 0;
  Basis basis = Basis::assumed;

  bool operator==(const Tolerance&) const = default;
};

/// What single precision costs: no live rho goes below.
inline constexpr double kRhoFloor = 1e-5;
/// No live one passes this.
inline constexpr double kRhoCeiling = 1e-4;

/// What is known of an engine's numbers before it has served a token here.
struct ShippedDialect {
  std::string_view name;  ///< as in the configuration
  Conduct conduct;
  ListRule list_rule;
  Tolerance rho, logprob_error, tie_width;

  [[nodiscard]] AuditTolerances audit() const { return {rho.value, logprob_error.value, tie_width.value}; }
};

/// Nothing for an engine whose conduct is not documented: its tokens cannot be audited.
[[nodiscard]] std::optional<ShippedDialect> shipped(std::string_view dialect);
[[nodiscard]] std::span<const ShippedDialect> shipped_dialects();

struct LiveSettings {
  Tolerance shipped;
  double floor = 0;    ///< never below: what construction alone costs
  double ceiling = 1;  ///< never above
  double confidence = 0.99;
  double suspect_alpha = 1e-4;  ///< probability of ever suspecting what keeps to the ceiling
};

/// The tolerated rate of flagged items.
class LiveTolerance {
 public:
  /// Requires: 0 < ceiling < 1, floor <= ceiling.
  explicit LiveTolerance(const LiveSettings& settings);

  /// Adds what one clean or unclean item showed.
  void add(bool flagged);

  /// What detectors are to use now. Looks at 4096, 8192, 16384 ... items, so it depends on the past alone,
  /// and takes what it has measured where that is lower than before, or shows that before was too low.
  [[nodiscard]] const Tolerance& now() const { return now_; }
  /// The rate is above the ceiling: a fault, or an engine that we do not understand.
  [[nodiscard]] bool suspect() const { return gate_.rejected(); }
  [[nodiscard]] std::uint64_t items() const { return items_; }

  /// To go on after a restart, with the same settings; `in` rejects what can have been none of ours.
  void save(ByteWriter& out) const;
  void load(ByteReader& in);

 private:
  void look();

  LiveSettings settings_;
  BoundedRate bet_;
  Gate gate_;
  Tolerance now_;
  std::uint64_t items_ = 0, flagged_ = 0, next_look_, looks_ = 0;
};

/// The rho of one server of that dialect: flagged are the tokens that its null excludes.
[[nodiscard]] LiveTolerance live_rho(const ShippedDialect& shipped);

}  // namespace truekeel::evidence
