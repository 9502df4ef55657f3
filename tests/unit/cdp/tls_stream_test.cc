// SPDX-License-Identifier: Apache-2.0
// TlsStream against a client of OpenSSL's own, over a connection in memory, in virtual time.
#include "cdp/io/tls_stream.h"

#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/sim/sim_scheduler.h"
#include "tests/unit/cdp/memory_stream.h"
#include "tests/unit/cdp/nbd_wire.h"

namespace cdp::test {
namespace {

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;

struct Identity {
  Key key{EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"), EVP_PKEY_free};
  Certificate certificate{X509_new(), X509_free};

  explicit Identity(std::vector<std::string> names, const Identity* authority = nullptr) {
    X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -60);
    X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3600);
    X509_NAME* const subject = X509_get_subject_name(certificate.get());
    for (const std::string& name : names) {
      const auto* const text = reinterpret_cast<const unsigned char*>(name.data());
      X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, text, static_cast<int>(name.size()),
                                 -1, 0);
    }
    X509_set_issuer_name(
        certificate.get(),
        authority != nullptr ? X509_get_subject_name(authority->certificate.get()) : subject);
    X509_set_pubkey(certificate.get(), key.get());
    CHECK(X509_sign(certificate.get(), authority != nullptr ? authority->key.get() : key.get(),
                    EVP_sha256()) > 0);
  }
};

const std::string kSecret(32, 'k');

class TlsStreamTest : public testing::Test {
 protected:
  TlsStreamTest()
      : scheduler(3),
        connection(std::make_shared<Connection>(scheduler)),
        plain(connection),
        authority({"CA"}),
        server({"server"}),
        server_context(new_tls_context()),
        client_context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free),
        client(nullptr, SSL_free) {
    SSL_CTX* const context = server_context.get();
    CHECK(SSL_CTX_use_certificate(context, server.certificate.get()) == 1);
    CHECK(SSL_CTX_use_PrivateKey(context, server.key.get()) == 1);
    CHECK(X509_STORE_add_cert(SSL_CTX_get_cert_store(context), authority.certificate.get()) == 1);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  }

  void show(const Identity& identity) {
    SSL_CTX_use_certificate(client_context.get(), identity.certificate.get());
    SSL_CTX_use_PrivateKey(client_context.get(), identity.key.get());
  }
  void make_client() {
    client.reset(SSL_new(client_context.get()));
    SSL_set_bio(client.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(client.get());
  }
  // What the client has for the server goes there, and the other way.
  void move() {
    char* bytes = nullptr;
    const long count = BIO_get_mem_data(SSL_get_wbio(client.get()), &bytes);
    const auto* const from = reinterpret_cast<const std::byte*>(bytes);
    connection->push(Bytes(from, from + count));
    (void)BIO_reset(SSL_get_wbio(client.get()));
    scheduler.run_for(milliseconds(1));
    const Bytes said = connection->take();
    if (!said.empty()) {
      BIO_write(SSL_get_rbio(client.get()), said.data(), static_cast<int>(said.size()));
    }
  }
  Task<void> accept(TlsAcceptor& acceptor) {
    Result<std::unique_ptr<TlsStream>> got = co_await acceptor.accept(plain);
    if (got.ok()) {
      stream = std::move(*got);
    } else {
      refusal = got.error().message;
    }
    accepted = true;
  }
  // True where the server's side of the handshake is done.
  bool shake_hands() {
    make_client();
    TlsAcceptor acceptor{scheduler, server_context};
    scheduler.spawn(accept(acceptor));
    for (int i = 0; i < 10 && !accepted; ++i) {
      SSL_do_handshake(client.get());
      move();
    }
    if (!accepted) {
      connection->vanish();
      scheduler.run_for(milliseconds(1));
    }
    return stream != nullptr;
  }
  Task<void> receive(std::span<const iovec> into, std::optional<Result<std::size_t>>& got) {
    got.emplace(co_await stream->receive(into));
  }
  Task<void> send(std::span<const iovec> from, std::optional<Status>& sent) {
    sent.emplace(co_await stream->send(from));
  }
  Bytes read_as_client(std::size_t most) {
    Bytes all(most);
    std::size_t got = 0;
    for (std::size_t step = 0; got < most; got += step) {
      if (SSL_read_ex(client.get(), all.data() + got, most - got, &step) != 1) break;
    }
    all.resize(got);
    return all;
  }

  sim::SimScheduler scheduler;
  std::shared_ptr<Connection> connection;
  MemoryStream plain;
  Identity authority;
  Identity server;
  TlsContext server_context;
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> client_context;
  std::unique_ptr<SSL, decltype(&SSL_free)> client;
  std::unique_ptr<TlsStream> stream;
  std::string refusal;
  bool accepted = false;
};

TEST_F(TlsStreamTest, TheNameIsTheCertificates) {
  const Identity web{{"web1"}, &authority};
  show(web);
  ASSERT_TRUE(shake_hands()) << refusal;
  EXPECT_EQ(stream->client(), "web1");
  EXPECT_EQ(stream->peer(), "test,client=web1");
}

TEST_F(TlsStreamTest, ACertificateWithoutOneNameHasNone) {
  const Identity web{{"web1", "web2"}, &authority};
  show(web);
  ASSERT_TRUE(shake_hands()) << refusal;
  EXPECT_EQ(stream->client(), "");
}

TEST_F(TlsStreamTest, ANameWithControlCharactersIsNone) {
  const Identity web{{std::string("web1\0x", 6)}, &authority};
  show(web);
  ASSERT_TRUE(shake_hands()) << refusal;
  EXPECT_EQ(stream->client(), "");
}

TEST_F(TlsStreamTest, NoCertificateIsRefused) {
  EXPECT_FALSE(shake_hands());
  EXPECT_NE(refusal.find("did not return a certificate"), std::string::npos) << refusal;
}

TEST_F(TlsStreamTest, ACertificateOfAForeignAuthorityIsRefused) {
  const Identity other{{"CA"}};
  const Identity web{{"web1"}, &other};
  show(web);
  EXPECT_FALSE(shake_hands());
  EXPECT_NE(refusal.find("certificate"), std::string::npos) << refusal;
}

TEST_F(TlsStreamTest, Tls12IsRefused) {
  SSL_CTX_set_max_proto_version(client_context.get(), TLS1_2_VERSION);
  EXPECT_FALSE(shake_hands());
  EXPECT_NE(refusal.find("unsupported protocol"), std::string::npos) << refusal;
}

TEST_F(TlsStreamTest, RubbishIsRefused) {
  sim::Random random{5};
  TlsAcceptor acceptor{scheduler, server_context};
  scheduler.spawn(accept(acceptor));
  connection->push(random_bytes(random, 100000));
  scheduler.run_for(seconds(1));
  EXPECT_TRUE(accepted);
  EXPECT_EQ(stream, nullptr);
}

class PresharedKeyTest : public TlsStreamTest {
 protected:
  // Of the client.
  static int offer(SSL*, const EVP_MD*, const unsigned char** name, std::size_t* name_bytes,
                   SSL_SESSION** session) {
    *name = reinterpret_cast<const unsigned char*>(offered_name.data());
    *name_bytes = offered_name.size();
    *session = SSL_SESSION_new();
    const unsigned char cipher[] = {0x13, 0x01};
    const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context{
        SSL_CTX_new(TLS_client_method()), SSL_CTX_free};
    const std::unique_ptr<SSL, decltype(&SSL_free)> any{SSL_new(context.get()), SSL_free};
    SSL_SESSION_set1_master_key(
        *session, reinterpret_cast<const unsigned char*>(offered_key.data()), offered_key.size());
    SSL_SESSION_set_cipher(*session, SSL_CIPHER_find(any.get(), cipher));
    SSL_SESSION_set_protocol_version(*session, TLS1_3_VERSION);
    return 1;
  }
  bool shake_hands_with(std::string name, std::string key) {
    use_preshared_keys(server_context.get(), {{"web1", {kSecret.begin(), kSecret.end()}},
                                              {"web2", std::vector<unsigned char>(16, 'x')}});
    offered_name = std::move(name);
    offered_key = std::move(key);
    SSL_CTX_set_psk_use_session_callback(client_context.get(), offer);
    return shake_hands();
  }
  static inline std::string offered_name;
  static inline std::string offered_key;
};

TEST_F(PresharedKeyTest, TheNameIsThatOfTheKey) {
  ASSERT_TRUE(shake_hands_with("web1", kSecret)) << refusal;
  EXPECT_EQ(stream->client(), "web1");
}

TEST_F(PresharedKeyTest, AWrongKeyIsRefused) { EXPECT_FALSE(shake_hands_with("web2", kSecret)); }

TEST_F(PresharedKeyTest, AnUnknownNameIsRefusedWithoutACertificate) {
  EXPECT_FALSE(shake_hands_with("web3", kSecret));
}

TEST_F(PresharedKeyTest, AnUnknownNameCountsForNothingNextToACertificate) {
  const Identity web{{"other"}, &authority};
  show(web);
  ASSERT_TRUE(shake_hands_with("web3", kSecret)) << refusal;
  EXPECT_EQ(stream->client(), "other");
}

class ConnectedTest : public TlsStreamTest {
 protected:
  ConnectedTest() : web({"web1"}, &authority) {
    show(web);
    CHECK(shake_hands());
  }
  Identity web;
};

TEST_F(ConnectedTest, BytesArriveInOrderWhateverTheirPieces) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    sim::Random random{seed};
    connection->fragments = &random;
    const Bytes source = random_bytes(random, (1 + random.below(40)) * 4096 + 8 * random.below(9));
    ASSERT_EQ(SSL_write(client.get(), source.data(), static_cast<int>(source.size())),
              static_cast<int>(source.size()));
    Bytes got;
    while (got.size() < source.size()) {
      Bytes one(1 + random.below(5000));
      Bytes two(1 + random.below(50000));
      const iovec into[] = {{one.data(), one.size()}, {two.data(), two.size()}};
      std::optional<Result<std::size_t>> outcome;
      scheduler.spawn(receive(into, outcome));
      move();
      ASSERT_TRUE(outcome.has_value() && outcome->ok());
      ASSERT_GT(**outcome, 0u);
      one.insert(one.end(), two.begin(), two.end());
      ASSERT_LE(**outcome, one.size());
      got.insert(got.end(), one.begin(), one.begin() + static_cast<std::ptrdiff_t>(**outcome));
    }
    EXPECT_EQ(got, source);
  }
}

TEST_F(ConnectedTest, WhatIsSentIsGatheredIntoWholeRecordsAndFewSends) {
  sim::Random random{9};
  Bytes source;
  std::vector<Bytes> parts;
  for (int i = 0; i < 64; ++i) {
    parts.push_back(random_bytes(random, 16));
    parts.push_back(random_bytes(random, 4096));
  }
  parts.push_back({});
  parts.push_back(random_bytes(random, 100000));
  std::vector<iovec> vectors;
  for (Bytes& part : parts) {
    vectors.push_back({part.data(), part.size()});
    source.insert(source.end(), part.begin(), part.end());
  }
  connection->sends = 0;
  std::optional<Status> sent;
  scheduler.spawn(send(vectors, sent));
  scheduler.run_for(milliseconds(1));
  ASSERT_TRUE(sent.has_value() && sent->ok());
  EXPECT_EQ(connection->sends, 2u) << "at 256 KiB each";
  const std::size_t records = (source.size() + 16383) / 16384;
  EXPECT_EQ(connection->from_server.size(), source.size() + records * 22);
  move();
  EXPECT_EQ(read_as_client(source.size() + 1), source);
}

TEST_F(ConnectedTest, AnOrderlyEndIsAnEnd) {
  SSL_shutdown(client.get());
  Bytes one(10);
  const iovec into{one.data(), one.size()};
  std::optional<Result<std::size_t>> outcome;
  scheduler.spawn(receive({&into, 1}, outcome));
  move();
  ASSERT_TRUE(outcome.has_value() && outcome->ok());
  EXPECT_EQ(**outcome, 0u);
}

TEST_F(ConnectedTest, AnEndWithoutCloseNotifyIsAnError) {
  Bytes one(10);
  const iovec into{one.data(), one.size()};
  std::optional<Result<std::size_t>> outcome;
  scheduler.spawn(receive({&into, 1}, outcome));
  connection->end_input();
  scheduler.run_for(milliseconds(1));
  ASSERT_TRUE(outcome.has_value());
  ASSERT_FALSE(outcome->ok());
  EXPECT_NE(outcome->error().message.find("without ending TLS"), std::string::npos);
}

TEST_F(ConnectedTest, AChangedByteIsAnError) {
  SSL_write(client.get(), "hello", 5);
  char* bytes = nullptr;
  const long count = BIO_get_mem_data(SSL_get_wbio(client.get()), &bytes);
  bytes[count - 1] ^= 1;
  Bytes one(10);
  const iovec into{one.data(), one.size()};
  std::optional<Result<std::size_t>> outcome;
  scheduler.spawn(receive({&into, 1}, outcome));
  move();
  ASSERT_TRUE(outcome.has_value());
  EXPECT_FALSE(outcome->ok());
}

// Each asks for one of ours, which goes out with the next send, or not at all.
TEST_F(ConnectedTest, ChangesOfTheClientsKeyAreBounded) {
  Bytes one(10);
  const iovec into{one.data(), one.size()};
  std::optional<Result<std::size_t>> outcome;
  SSL_key_update(client.get(), SSL_KEY_UPDATE_REQUESTED);
  SSL_write(client.get(), "hello", 5);
  scheduler.spawn(receive({&into, 1}, outcome));
  move();
  ASSERT_TRUE(outcome.has_value() && outcome->ok());
  EXPECT_EQ(**outcome, 5u);
  std::optional<Status> sent;
  scheduler.spawn(send({&into, 1}, sent));
  move();
  ASSERT_TRUE(sent.has_value() && sent->ok());
  EXPECT_EQ(read_as_client(10).size(), 10u);

  outcome.reset();
  scheduler.spawn(receive({&into, 1}, outcome));
  for (int i = 0; i < 30000 && !outcome.has_value(); ++i) {
    SSL_key_update(client.get(), SSL_KEY_UPDATE_REQUESTED);
    SSL_do_handshake(client.get());
    if (i % 100 == 0) move();
  }
  if (!outcome.has_value()) {
    connection->vanish();
    scheduler.run_for(milliseconds(1));
  }
  ASSERT_TRUE(outcome.has_value());
  EXPECT_FALSE(outcome->ok());
}

}  // namespace
}  // namespace cdp::test
