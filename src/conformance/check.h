// SPDX-License-Identifier: Apache-2.0
// One check: a law, the rows it starts from, and a probe that says whether the law holds on given rows.
// The same probe judges the start and, while it fails, every smaller example (shrink.h).
// Thread safety: a Session is used by one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/philox.h"
#include "conformance/sampler.h"
#include "conformance/stats.h"

namespace truekeel::conformance {

/// What a test would have found: see stats.h.
struct PowerAt {
  double share = 0;  ///< of the cell in question
  Power found = {};
};

/// What one probe saw.
struct Seen {
  bool holds = true;
  std::string what = {};               ///< in a sentence, with sizes
  std::optional<double> log10_p = {};  ///< upper bound, of statistical probes
  std::vector<PowerAt> power = {};     ///< of the heaviest and the lightest cell
};

/// How often each token of one row was drawn.
struct Tally {
  std::vector<std::uint64_t> counts = {};
  std::uint64_t refused = 0;
  std::string refusal = {};  ///< the first one's words
};

/// A sampler under test: draws with fresh randomness, and the error budget of each statistical test.
class Session {
 public:
  struct Options {
    std::uint64_t seed = 1;
    std::uint64_t draws = 20'000;  ///< of one statistical test
    double alpha_each = 1e-9;
  };

  Session(Sampler& sampler, const Options& options)
      : sampler_(sampler), semantics_(sampler.semantics()), options_(options), random_(options.seed) {}

  [[nodiscard]] const Semantics& semantics() const { return semantics_; }
  [[nodiscard]] const Options& options() const { return options_; }
  [[nodiscard]] std::uint64_t drawn() const { return drawn_; }
  [[nodiscard]] std::uint64_t fresh() { return random_.next(); }

  /// Whether the kit can have the same draw twice: by seed, or by injecting a uniform.
  [[nodiscard]] bool repeatable() const;

  /// The sampler's draws, checked for number and for tokens inside the vocabulary. For a sampler without
  /// seeds that takes uniforms, each row's are Philox(seed, position), fresh ones where it has no seed.
  /// Error::internal when either is wrong; whatever the sampler's own draw() fails with.
  [[nodiscard]] Result<std::vector<Draw>> draw(Call call);

  /// `draws` draws of one row, alone, each with randomness of its own.
  [[nodiscard]] Result<Tally> tally(Row row, std::uint64_t draws);

 private:
  void inject(Call& call);

  Sampler& sampler_;
  const Semantics semantics_;
  const Options options_;
  PhiloxStream random_;
  std::uint64_t drawn_ = 0;
};

using Probe = std::function<Result<Seen>(Session&, std::span<const Row>)>;

struct Check {
  std::string name = {};  ///< "family/case", stable: filters and reports use it
  std::string law = {};   ///< what must hold
  std::vector<Row> rows = {};
  Probe probe = {};
  bool statistical = false;  ///< takes a share of the error bound
  bool promised = true;      ///< false: the semantics leave it open, and the check only observes
  bool shrinkable = true;    ///< false: the rows make the point only as they are
};

/// The families. Each returns what applies to the declared semantics and nothing else.
[[nodiscard]] std::vector<Check> enumeration_checks(const Semantics& semantics);
[[nodiscard]] std::vector<Check> distribution_checks(const Semantics& semantics);
[[nodiscard]] std::vector<Check> independence_checks(const Semantics& semantics);
[[nodiscard]] std::vector<Check> batch_checks(const Semantics& semantics);
[[nodiscard]] std::vector<Check> law_checks(const Semantics& semantics);
[[nodiscard]] std::vector<Check> edge_checks(const Semantics& semantics);

}  // namespace truekeel::conformance
