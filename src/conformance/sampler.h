// SPDX-License-Identifier: Apache-2.0
// What the kit asks of a sampler: its declared semantics, and draws for batches of rows.
// Thread safety: the kit calls one sampler from one thread.
#pragma once

#include <cstdint>
#include <expected>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"

namespace truekeel::conformance {

using TokenId = std::int32_t;

/// One step from logits to the set that is drawn from. A chain lists them in order of application.
enum class Step { bias, penalties, temperature, top_k, top_p, min_p };

/// Which of several tokens with equal logits stay when a cut falls between them.
enum class Ties {
  by_id,     ///< lower ids first, so that the kept count is exact
  keep_all,  ///< all of them: more than asked for may stay
  any,       ///< the kept count is exact, which ones stay is not promised
};

/// Where top-p stops: at the first token with which the kept mass is >= p, or > p.
enum class TopPRule { reaches, exceeds };

/// Of what top-p takes its share: what earlier steps kept, renormalised, or all of the vocabulary.
enum class TopPMass { kept, vocabulary };

/// What decides a draw when the kit does not inject a uniform.
enum class Seeding {
  keyed,   ///< (seed, position) alone, whatever was drawn before
  stream,  ///< the seed starts a sequence; the n-th draw after it is fixed
  none,    ///< a generator that the kit cannot set
};

/// In which order a growing uniform passes the tokens' intervals.
enum class IntervalOrder { by_id, descending, any };

enum class Dtype { fp32, fp16, bf16 };

/// Inputs outside the plain contract, for which samplers differ.
enum class Edge {
  nan_logit,
  plus_infinity,
  all_forbidden,  ///< every logit is -inf
  temperature_zero,
  temperature_negative,
  temperature_nan,
  top_k_zero,
  top_k_negative,
  top_p_zero,
  top_p_above_one,
};

/// What a sampler promises at an edge.
enum class EdgeRule {
  refused,    ///< an error that says so, and no token
  greedy,     ///< the token with the highest logit
  off,        ///< as if the parameter had not been given
  undefined,  ///< nothing; the kit reports what happens
};

/// What a sampler promises. The kit holds it to this and to nothing else.
struct Semantics {
  std::string name = {};
  std::string version = {};
  std::vector<Step> chain = {Step::bias,  Step::penalties, Step::temperature,
                             Step::top_k, Step::top_p,     Step::min_p};  ///< a step left out is not offered
  Ties greedy_ties = Ties::by_id;
  Ties top_k_ties = Ties::by_id;
  Ties top_p_ties = Ties::by_id;
  TopPRule top_p_rule = TopPRule::reaches;
  TopPMass top_p_mass = TopPMass::kept;

  bool injects = false;  ///< takes the kit's uniform in place of its own
  Seeding seeding = Seeding::none;
  IntervalOrder interval_order = IntervalOrder::any;
  double resolution = 0x1p-20;  ///< largest error of an interval's width, in probability
  double smallest_weight = 0;   ///< below this share of the top weight a token may never be drawn

  Dtype dtype = Dtype::fp32;
  std::uint32_t batch_max = 1;            ///< rows in one call
  bool batch_invariant = false;           ///< a seeded row draws the same token whatever its batch mates
  std::uint32_t shards_max = 1;           ///< vocabulary shards; 1: no such knob
  std::uint32_t threads_max = 1;          ///< 1: no such knob
  std::vector<std::string> targets = {};  ///< names of SIMD targets or devices; empty: no such knob
  bool strided = false;                   ///< reads rows with values between them that are not logits
  std::map<Edge, EdgeRule> edges = {};    ///< an edge left out is undefined

  [[nodiscard]] bool has(Step step) const;
  [[nodiscard]] EdgeRule at(Edge edge) const;
  bool operator==(const Semantics&) const = default;
};

/// Parameters of one row; the defaults switch every step off.
struct Params {
  float temperature = 1;
  std::optional<std::int32_t> top_k = {};
  float top_p = 1;
  float min_p = 0;
  float presence = 0;
  float frequency = 0;
  float repetition = 1;
  std::vector<std::pair<TokenId, float>> bias = {};

  bool operator==(const Params&) const = default;
};

struct Row {
  std::vector<float> logits = {};
  Params params = {};
  std::vector<TokenId> history = {};  ///< tokens so far, which the penalties count
  std::optional<std::uint64_t> seed = {};
  std::uint64_t position = 0;

  bool operator==(const Row&) const = default;
};

/// One batched call, repeated: at step s each row stands at its position + s.
struct Call {
  std::vector<Row> rows = {};  ///< all of one vocabulary
  std::uint64_t steps = 1;
  std::vector<std::uint64_t> uniforms =
      {};  ///< steps x rows, step by step, as fractions of 2^64; empty: not injected
  std::vector<std::uint64_t> shards = {};  ///< sizes that sum to the vocabulary; empty: whole
  std::uint32_t threads = 1;
  std::string target = {};        ///< empty: the sampler's choice
  std::uint32_t row_padding = 0;  ///< values after each row that are not logits (strided samplers alone)
};

/// A token, or why the sampler refused the row.
using Draw = std::expected<TokenId, std::string>;

class Sampler {
 public:
  virtual ~Sampler() = default;

  [[nodiscard]] virtual const Semantics& semantics() const = 0;

  /// steps x rows draws, step by step. The call keeps within the declared semantics' knobs.
  /// An error (and not a refused row) means that the sampler broke: it died, hung or answered nonsense.
  [[nodiscard]] virtual Result<std::vector<Draw>> draw(const Call& call) = 0;
};

}  // namespace truekeel::conformance
