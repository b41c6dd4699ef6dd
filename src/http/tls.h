// SPDX-License-Identifier: Apache-2.0
// TLS 1.2 and 1.3 over any Stream (OpenSSL). Thread safety: a TlsContext from any thread; a stream as its
// inner one. Invariants: a peer's certificate and name are always verified by who dials; an end that the peer
// did not announce is a failure, so that nobody between can shorten an answer.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "base/error.h"
#include "http/net.h"

struct ssl_ctx_st;

namespace truekeel::http {

/// Certificates and rules of one side.
class TlsContext {
 public:
  /// Who accepts: certificate chain and private key, PEM. Error::io or Error::invalid_argument name the file.
  [[nodiscard]] static Result<std::shared_ptr<TlsContext>> for_server(std::string cert_file,
                                                                      std::string key_file);

  /// Who dials: the authorities to trust, PEM; empty: the system's.
  [[nodiscard]] static Result<std::shared_ptr<TlsContext>> for_client(std::string ca_file);

  /// Reads the files again, for connections from now on. On an error the old ones stay.
  Result<void> reload();

  /// Wraps an accepted, or a dialled stream; the handshake happens within its first waits.
  [[nodiscard]] std::unique_ptr<Stream> accept(std::unique_ptr<Stream> inner) const;
  [[nodiscard]] std::unique_ptr<Stream> dial(std::unique_ptr<Stream> inner, const std::string& host) const;

 private:
  using Native = std::shared_ptr<ssl_ctx_st>;
  TlsContext(std::string cert_file, std::string key_file, std::string ca_file)
      : cert_file_(std::move(cert_file)), key_file_(std::move(key_file)), ca_file_(std::move(ca_file)) {}
  [[nodiscard]] static Result<std::shared_ptr<TlsContext>> make(TlsContext* made);
  [[nodiscard]] Result<Native> load() const;
  [[nodiscard]] Native native() const;

  const std::string cert_file_, key_file_, ca_file_;
  mutable std::mutex mutex_;
  Native native_;  // guarded by mutex_
};

}  // namespace truekeel::http
