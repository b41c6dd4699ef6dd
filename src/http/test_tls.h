// SPDX-License-Identifier: Apache-2.0
// For tests: certificates made on the spot, and a network on which every connection is TLS.
#pragma once

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include "base/test_folder.h"
#include "http/net.h"
#include "http/tls.h"

namespace truekeel::http {

/// A self-signed certificate for `names` ("DNS:a,IP:127.0.0.1") and its key, in files that go when the
/// process ends. One of the same name replaces them.
struct TestCertificate {
  explicit TestCertificate(const std::string& name,
                           const std::string& names = "DNS:server,DNS:behind,IP:127.0.0.1")
      : cert(folder().file(name + ".crt")), key(folder().file(name + ".key")) {
    EVP_PKEY* pair = EVP_EC_gen("P-256");
    X509* made = X509_new();
    X509_set_version(made, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(made), 1);
    X509_gmtime_adj(X509_getm_notBefore(made), -3600);
    X509_gmtime_adj(X509_getm_notAfter(made), 3600);
    X509_set_pubkey(made, pair);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(made), "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
    X509_set_issuer_name(made, X509_get_subject_name(made));
    X509_EXTENSION* san = X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, names.c_str());
    X509_add_ext(made, san, -1);
    X509_EXTENSION_free(san);
    EXPECT_GT(X509_sign(made, pair, EVP_sha256()), 0);
    write(cert, [&](std::FILE* file) { return PEM_write_X509(file, made); });
    write(key, [&](std::FILE* file) {
      return PEM_write_PrivateKey(file, pair, nullptr, nullptr, 0, nullptr, nullptr);
    });
    X509_free(made);
    EVP_PKEY_free(pair);
  }

  const std::string cert, key;

 private:
  static const TestFolder& folder() {
    static const TestFolder made;
    return made;
  }
  template <class Write>
  static void write(const std::string& path, Write put) {
    std::FILE* file = std::fopen(path.c_str(), "w");
    EXPECT_TRUE(file != nullptr && put(file) == 1);
    std::fclose(file);
  }
};

class TlsTestNet final : public Net {
 public:
  explicit TlsTestNet(Net& inner) : inner_(inner) {}

  boost::asio::io_context& context() override { return inner_.context(); }
  Instant now() const override { return inner_.now(); }
  WallTime wall_now() const override { return inner_.wall_now(); }
  Task<void> sleep_until(Instant at) override { return inner_.sleep_until(at); }
  DeadlineWheel& deadlines() override { return inner_.deadlines(); }

  Result<std::unique_ptr<http::Listener>> listen(const Endpoint& at, Sharing sharing) override {
    auto listener = inner_.listen(at, sharing);
    if (!listener) return std::unexpected(listener.error());
    return std::make_unique<Listener>(std::move(*listener), server_);
  }
  std::unique_ptr<Stream> dial(const Endpoint& to) override {
    return client_->dial(inner_.dial(to), to.host);
  }

 private:
  struct Listener final : http::Listener {
    Listener(std::unique_ptr<http::Listener> i, std::shared_ptr<TlsContext> t)
        : inner(std::move(i)), tls(std::move(t)) {}
    Task<std::unique_ptr<Stream>> accept() override {
      auto stream = co_await inner->accept();
      if (stream) stream = tls->accept(std::move(stream));
      co_return stream;
    }
    std::uint16_t port() const override { return inner->port(); }
    void close() override { inner->close(); }

    std::unique_ptr<http::Listener> inner;
    std::shared_ptr<TlsContext> tls;
  };

  static const TestCertificate& certificate() {
    static const TestCertificate made("test_net");
    return made;
  }

  Net& inner_;
  const std::shared_ptr<TlsContext> server_ =
      TlsContext::for_server(certificate().cert, certificate().key).value();
  const std::shared_ptr<TlsContext> client_ = TlsContext::for_client(certificate().cert).value();
};

}  // namespace truekeel::http
