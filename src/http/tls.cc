// SPDX-License-Identifier: Apache-2.0
#include "http/tls.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <array>
#include <boost/asio/ip/address.hpp>
#include <utility>

#include "base/assert.h"

namespace truekeel::http {
namespace {

// What one write encrypts at most, so that what waits for a slow peer stays small.
constexpr std::size_t kWriteBytesMax = 16 << 10;
constexpr std::size_t kReadBytes = 16 << 10;
constexpr std::array<unsigned char, 9> kAlpn = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};

using Native = std::shared_ptr<SSL_CTX>;

std::string last_error() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  return reason != nullptr ? reason : "unknown error";
}

int choose_alpn(SSL*, const unsigned char** out, unsigned char* out_length, const unsigned char* in,
                unsigned in_length, void*) {
  unsigned char* chosen = nullptr;
  const int found = SSL_select_next_proto(&chosen, out_length, kAlpn.data(), kAlpn.size(), in, in_length);
  *out = chosen;
  return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

class TlsStream final : public Stream {
 public:
  TlsStream(Native context, std::unique_ptr<Stream> inner)
      : inner_(std::move(inner)), context_(std::move(context)), ssl_(SSL_new(context_.get()), SSL_free) {
    TK_ASSERT(ssl_);
    in_ = BIO_new(BIO_s_mem());
    out_ = BIO_new(BIO_s_mem());
    TK_ASSERT(in_ != nullptr && out_ != nullptr);
    BIO_set_mem_eof_return(in_, -1);  // empty means: not yet
    SSL_set_bio(ssl_.get(), in_, out_);
  }

  void be_server() { SSL_set_accept_state(ssl_.get()); }

  void be_client(const std::string& host) {
    SSL_set_connect_state(ssl_.get());
    boost::system::error_code not_an_address;
    boost::asio::ip::make_address(host, not_an_address);
    if (not_an_address) {
      SSL_set_tlsext_host_name(ssl_.get(), host.c_str());
      SSL_set1_host(ssl_.get(), host.c_str());
    } else {
      X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl_.get()), host.c_str());
    }
  }

  Attempt read_now(std::span<char> into) override {
    while (why_.empty()) {
      std::size_t n = 0;
      if (SSL_read_ex(ssl_.get(), into.data(), into.size(), &n) == 1) {
        more_ = true;
        return {Attempt::State::done, n};
      }
      const int error = SSL_get_error(ssl_.get(), 0);
      if (error == SSL_ERROR_ZERO_RETURN) return {Attempt::State::ended};
      if (error != SSL_ERROR_WANT_READ) return fail_tls();
      if (const auto came = receive(); came.state != Attempt::State::done) return came;
    }
    return {Attempt::State::failed};
  }

  // Bytes count as written when the network has them: until then the caller offers the same ones again.
  Attempt write_now(std::span<const std::string_view> pieces) override {
    if (!why_.empty()) return {Attempt::State::failed};
    for (std::string_view piece : pieces) {
      piece = piece.substr(0, kWriteBytesMax - encrypted_);
      std::size_t n = 0;
      if (piece.empty() || written_ahead_) continue;
      if (SSL_write_ex(ssl_.get(), piece.data(), piece.size(), &n) != 1) return blocked();
      encrypted_ += n;
    }
    written_ahead_ = true;
    const auto flushed = flush();
    if (flushed.state != Attempt::State::done) return flushed;
    written_ahead_ = false;
    return {Attempt::State::done, std::exchange(encrypted_, 0)};
  }

  Task<bool> readable() override {
    if (more_ || !why_.empty()) co_return true;
    if (!co_await flushed()) co_return !closed_;
    co_return co_await inner_->readable();
  }

  Task<bool> writable() override {
    if (why_.empty() && !SSL_is_init_finished(ssl_.get())) co_return co_await shake_hands();
    static_cast<void>(co_await flushed());
    co_return !closed_;
  }

  void end_write() override {
    say_goodbye();
    inner_->end_write();
  }

  void close() override {
    if (!closed_) say_goodbye();
    closed_ = true;
    inner_->close();
  }

  void reset() override {
    closed_ = true;
    inner_->reset();
  }

  std::string why() const override { return why_.empty() ? inner_->why() : why_; }
  bool exhausted() const override { return inner_->exhausted(); }
  std::string peer() const override { return inner_->peer(); }

 private:
  Attempt fail_tls() {
    const long verdict = SSL_get_verify_result(ssl_.get());
    why_ = verdict == X509_V_OK
               ? fmt::format("TLS: {}", last_error())
               : fmt::format("TLS: the certificate: {}", X509_verify_cert_error_string(verdict));
    ERR_clear_error();
    const std::string why = why_;
    flush();  // the alert that tells the peer
    why_ = why;
    return {Attempt::State::failed};
  }

  Attempt fail_inner() {
    why_ = inner_->why();
    return {Attempt::State::failed};
  }

  /// A write that did not happen: the handshake is not over, or it failed.
  Attempt blocked() {
    const int error = SSL_get_error(ssl_.get(), 0);
    return error == SSL_ERROR_WANT_READ ? Attempt{Attempt::State::would_block} : fail_tls();
  }

  /// Bytes from the network to OpenSSL. done: some came.
  Attempt receive() {
    more_ = false;
    if (flush().state == Attempt::State::failed) return {Attempt::State::failed};
    std::array<char, kReadBytes> buffer;
    const auto came = inner_->read_now(buffer);
    if (came.state == Attempt::State::done) {
      BIO_write(in_, buffer.data(), static_cast<int>(came.bytes));
    } else if (came.state == Attempt::State::ended) {
      why_ = "the connection ended without TLS saying so";
      return {Attempt::State::failed};
    } else if (came.state == Attempt::State::failed) {
      return fail_inner();
    }
    return came;
  }

  /// Passes on what OpenSSL wants to send. done: all of it.
  Attempt flush() {
    while (true) {
      char* data = nullptr;
      const long size = BIO_get_mem_data(out_, &data);
      if (size <= 0) return {Attempt::State::done};
      const std::string_view piece(data, static_cast<std::size_t>(size));
      const auto attempt = inner_->write_now({&piece, 1});
      if (attempt.state == Attempt::State::failed) return fail_inner();
      if (attempt.state != Attempt::State::done) return attempt;
      skip(attempt.bytes);
    }
  }

  void skip(std::size_t bytes) {
    std::array<char, 4096> scratch;
    while (bytes > 0) {
      const int n = BIO_read(out_, scratch.data(), static_cast<int>(std::min(bytes, scratch.size())));
      TK_ASSERT(n > 0);
      bytes -= static_cast<std::size_t>(n);
    }
  }

  Task<bool> flushed() {
    while (true) {
      const auto attempt = flush();
      if (attempt.state == Attempt::State::done) co_return true;
      if (attempt.state != Attempt::State::would_block || !co_await inner_->writable()) co_return false;
    }
  }

  /// True also when it failed: the next attempt tells why.
  Task<bool> shake_hands() {
    if (!co_await inner_->writable()) co_return false;
    while (SSL_do_handshake(ssl_.get()) != 1) {
      if (SSL_get_error(ssl_.get(), 0) != SSL_ERROR_WANT_READ) {
        fail_tls();
        co_return !closed_;
      }
      if (!co_await flushed()) co_return !closed_;
      const auto came = receive();
      if (came.state == Attempt::State::would_block && !co_await inner_->readable()) co_return false;
      if (came.state == Attempt::State::failed) co_return !closed_;
    }
    static_cast<void>(co_await flushed());
    co_return !closed_;
  }

  void say_goodbye() {
    if (!why_.empty() || !SSL_is_init_finished(ssl_.get())) return;
    SSL_shutdown(ssl_.get());
    ERR_clear_error();
    flush();
  }

  const std::unique_ptr<Stream> inner_;
  const Native context_;
  const std::unique_ptr<SSL, decltype(&SSL_free)> ssl_;
  BIO* in_ = nullptr;  // from the network, owned by ssl_
  BIO* out_ = nullptr;
  std::string why_;
  std::size_t encrypted_ = 0;   // plain bytes of the write under way
  bool written_ahead_ = false;  // they are encrypted, and wait for the network
  bool more_ = false;           // the last read may have left something behind
  bool closed_ = false;
};

}  // namespace

Result<std::shared_ptr<TlsContext>> TlsContext::make(TlsContext* made) {
  std::shared_ptr<TlsContext> context(made);
  if (const auto loaded = context->reload(); !loaded) return std::unexpected(loaded.error());
  return context;
}

Result<std::shared_ptr<TlsContext>> TlsContext::for_server(std::string cert_file, std::string key_file) {
  return make(new TlsContext(std::move(cert_file), std::move(key_file), {}));
}

Result<std::shared_ptr<TlsContext>> TlsContext::for_client(std::string ca_file) {
  return make(new TlsContext({}, {}, std::move(ca_file)));
}

Result<void> TlsContext::reload() {
  auto loaded = load();
  if (!loaded) return std::unexpected(loaded.error());
  const std::lock_guard lock(mutex_);
  native_ = std::move(*loaded);
  return {};
}

Result<Native> TlsContext::load() const {
  const auto wrong = [](const std::string& file, const char* what) {
    return fail(ErrorCode::invalid_argument, fmt::format("{}: {}: {}", file, what, last_error()));
  };
  ERR_clear_error();
  Native context(SSL_CTX_new(TLS_method()), SSL_CTX_free);
  TK_ASSERT(context);
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS);
  if (cert_file_.empty()) {
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
    SSL_CTX_set_alpn_protos(context.get(), kAlpn.data(), kAlpn.size());
    const bool trusts = ca_file_.empty() ? SSL_CTX_set_default_verify_paths(context.get()) == 1
                                         : SSL_CTX_load_verify_file(context.get(), ca_file_.c_str()) == 1;
    if (!trusts) return wrong(ca_file_, "no file of certificates to trust");
    return context;
  }
  SSL_CTX_set_alpn_select_cb(context.get(), choose_alpn, nullptr);
  if (SSL_CTX_use_certificate_chain_file(context.get(), cert_file_.c_str()) != 1) {
    return wrong(cert_file_, "no certificate chain in PEM");
  }
  if (SSL_CTX_use_PrivateKey_file(context.get(), key_file_.c_str(), SSL_FILETYPE_PEM) != 1) {
    return wrong(key_file_, "no private key in PEM that fits the certificate");
  }
  return context;
}

TlsContext::Native TlsContext::native() const {
  const std::lock_guard lock(mutex_);
  return native_;
}

std::unique_ptr<Stream> TlsContext::accept(std::unique_ptr<Stream> inner) const {
  auto stream = std::make_unique<TlsStream>(native(), std::move(inner));
  stream->be_server();
  return stream;
}

std::unique_ptr<Stream> TlsContext::dial(std::unique_ptr<Stream> inner, const std::string& host) const {
  auto stream = std::make_unique<TlsStream>(native(), std::move(inner));
  stream->be_client(host);
  return stream;
}

}  // namespace truekeel::http
