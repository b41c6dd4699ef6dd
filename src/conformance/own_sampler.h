// SPDX-License-Identifier: Apache-2.0
// Our own selection behind the kit's adapter. Thread safety: one thread at a time.
#pragma once

#include <memory>
#include <vector>

#include "conformance/sampler.h"

namespace truekeel::conformance {

/// truekeel::select, batch by batch, with rows laid out in memory as declared: dtype, stride, padding.
class OwnSampler final : public Sampler {
 public:
  explicit OwnSampler(Dtype dtype = Dtype::fp32);
  ~OwnSampler() override;

  [[nodiscard]] const Semantics& semantics() const override { return semantics_; }
  [[nodiscard]] Result<std::vector<Draw>> draw(const Call& call) override;

 private:
  struct Scratch;

  Semantics semantics_;
  std::unique_ptr<Scratch> scratch_;
  std::uint64_t unseeded_ = 0;  ///< rows without a seed take the next of these as their position
};

}  // namespace truekeel::conformance
