// SPDX-License-Identifier: Apache-2.0
// llama.cpp's sampler chain behind the kit's adapter. Thread safety: one thread at a time.
#pragma once

#include <vector>

#include "conformance/sampler.h"

namespace truekeel::samplers {

/// Builds llama.cpp's chain for each row: the steps that the row uses, in the declared order, then its
/// `dist` sampler seeded with the row's seed (32 bits).
class LlamaChain final : public conformance::Sampler {
 public:
  /// llama.cpp's own default order.
  static const std::vector<conformance::Step> kDefaultChain;

  explicit LlamaChain(std::vector<conformance::Step> chain = kDefaultChain);

  [[nodiscard]] const conformance::Semantics& semantics() const override { return semantics_; }
  [[nodiscard]] Result<std::vector<conformance::Draw>> draw(const conformance::Call& call) override;

 private:
  conformance::Semantics semantics_;
  std::uint32_t unseeded_ = 1;  ///< rows without a seed take the next of these
};

}  // namespace truekeel::samplers
