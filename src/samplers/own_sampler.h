// SPDX-License-Identifier: Apache-2.0
// Our own selection behind the kit's adapter. Thread safety: one thread at a time in the whole process, for
// the choice of a SIMD target is global.
#pragma once

#include <memory>
#include <vector>

#include "conformance/sampler.h"

namespace truekeel::samplers {

/// truekeel::select, with rows laid out in memory as the call says: dtype, stride, or shards on a thread
/// each; on any SIMD target that this machine has.
class OwnSampler final : public conformance::Sampler {
 public:
  explicit OwnSampler(conformance::Dtype dtype = conformance::Dtype::fp32);
  ~OwnSampler() override;

  [[nodiscard]] const conformance::Semantics& semantics() const override { return semantics_; }
  [[nodiscard]] Result<std::vector<conformance::Draw>> draw(const conformance::Call& call) override;

 private:
  struct Scratch;

  conformance::Semantics semantics_;
  std::unique_ptr<Scratch> scratch_;
};

}  // namespace truekeel::samplers
