// SPDX-License-Identifier: Apache-2.0
// A sampler in another process, any language, over JSON lines (docs/conformance.md, "The process adapter").
// Thread safety: one thread at a time. Invariant: at most one child lives, and none outlives its sampler.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "conformance/sampler.h"
#include "samplers/line_channel.h"

namespace truekeel::samplers {

struct ProcessOptions {
  std::chrono::milliseconds start_timeout{60'000};  ///< until the answer to hello: interpreters import a lot
  std::chrono::milliseconds call_timeout{120'000};
  std::size_t line_max = std::size_t{256} << 20;  ///< bounds memory whatever the peer sends
};

/// The kit's side of the protocol over a channel that is already open.
class LineSampler final : public conformance::Sampler {
 public:
  /// Says hello. Fails as LineChannel::exchange, and with Error::invalid_argument for an answer that is none.
  [[nodiscard]] static Result<std::unique_ptr<LineSampler>> open(Fd in, Fd out,
                                                                 const ProcessOptions& options);

  [[nodiscard]] const conformance::Semantics& semantics() const override { return semantics_; }
  [[nodiscard]] Result<std::vector<conformance::Draw>> draw(const conformance::Call& call) override;

 private:
  LineSampler(LineChannel channel, const ProcessOptions& options)
      : channel_(std::move(channel)), options_(options) {}

  LineChannel channel_;
  const ProcessOptions options_;
  conformance::Semantics semantics_;
  std::uint64_t calls_ = 0;
};

/// A child process that is started again after it died or was killed for its silence.
class ProcessSampler final : public conformance::Sampler {
 public:
  /// Starts the command (found in PATH) and says hello.
  [[nodiscard]] static Result<std::unique_ptr<ProcessSampler>> start(std::vector<std::string> command,
                                                                     const ProcessOptions& options = {});
  ~ProcessSampler() override;

  [[nodiscard]] const conformance::Semantics& semantics() const override { return semantics_; }
  [[nodiscard]] Result<std::vector<conformance::Draw>> draw(const conformance::Call& call) override;

 private:
  ProcessSampler(std::vector<std::string> command, const ProcessOptions& options)
      : command_(std::move(command)), options_(options) {}

  [[nodiscard]] Result<bool> spawn();
  /// Gives the child time to end by itself, kills its process group and waits for it. Returns how it ended.
  std::string stop(std::chrono::milliseconds grace);

  const std::vector<std::string> command_;
  const ProcessOptions options_;
  int pid_ = -1;
  std::unique_ptr<LineSampler> lines_;
  conformance::Semantics semantics_;
};

}  // namespace truekeel::samplers
