// SPDX-License-Identifier: Apache-2.0
#include "tools/tls/certificate_authority.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/x509v3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "tools/tls/certificate.h"

namespace tools::tls {
namespace {

namespace fs = std::filesystem;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

std::string content_of(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream{path}.rdbuf();
  return text.str();
}

Certificate certificate_at(const fs::path& path) {
  return std::move(cdp::value_or_throw(certificates_of_pem(content_of(path))).front());
}

mode_t mode_of(const fs::path& path) {
  struct stat about{};
  EXPECT_EQ(::stat(path.c_str(), &about), 0) << path;
  return about.st_mode & 07777u;
}

// X509_V_OK, or why not.
int verdict(X509* authority, X509* certificate, int purpose) {
  X509_STORE* const store = X509_STORE_new();
  X509_STORE_add_cert(store, authority);
  X509_STORE_CTX* const context = X509_STORE_CTX_new();
  X509_STORE_CTX_init(context, store, certificate, nullptr);
  X509_STORE_CTX_set_purpose(context, purpose);
  X509_VERIFY_PARAM_set_flags(X509_STORE_CTX_get0_param(context), X509_V_FLAG_X509_STRICT);
  X509_verify_cert(context);
  const int found = X509_STORE_CTX_get_error(context);
  X509_STORE_CTX_free(context);
  X509_STORE_free(store);
  return found;
}

class CertificateAuthorityTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "hindsight_tls_XXXXXX").string();
    root_ = ::mkdtemp(name.data());
    directory_ = root_ / "tls";
  }
  void TearDown() override {
    fs::permissions(root_, fs::perms::owner_all);
    fs::remove_all(root_);
  }
  cdp::Result<Issued> server(std::vector<std::string> names = {}, int days = kDefaultDays) {
    return issue_server({directory_.string(), std::move(names), days});
  }
  cdp::Result<Issued> client(const std::string& name, bool replace = false) {
    return issue_client({directory_.string(), name, kDefaultDays, replace});
  }

  fs::path root_;
  fs::path directory_;
};

TEST_F(CertificateAuthorityTest, WhatItSignsIsTrustedForItsPurposeAlone) {
  const Issued made = cdp::value_or_throw(server({"vault.example", "192.0.2.7"}));
  cdp::value_or_throw(client("db1"));
  const Certificate authority = certificate_at(directory_ / "ca.crt");
  const Certificate server_one = certificate_at(directory_ / "server.crt");
  const Certificate client_one = certificate_at(directory_ / "clients/db1/client-cert.pem");
  EXPECT_EQ(verdict(authority.get(), server_one.get(), X509_PURPOSE_SSL_SERVER), X509_V_OK);
  EXPECT_EQ(verdict(authority.get(), client_one.get(), X509_PURPOSE_SSL_CLIENT), X509_V_OK);
  EXPECT_EQ(verdict(authority.get(), server_one.get(), X509_PURPOSE_SSL_CLIENT),
            X509_V_ERR_INVALID_PURPOSE);
  EXPECT_EQ(verdict(authority.get(), client_one.get(), X509_PURPOSE_SSL_SERVER),
            X509_V_ERR_INVALID_PURPOSE);
  // A host's key signs nothing.
  EXPECT_NE(verdict(server_one.get(), client_one.get(), X509_PURPOSE_SSL_CLIENT), X509_V_OK);

  for (const char* name : {"vault.example", "localhost"}) {
    EXPECT_EQ(X509_check_host(server_one.get(), name, 0, 0, nullptr), 1) << name;
  }
  for (const char* address : {"192.0.2.7", "127.0.0.1", "::1"}) {
    EXPECT_EQ(X509_check_ip_asc(server_one.get(), address, 0), 1) << address;
  }
  EXPECT_THAT(made.names, Contains("192.0.2.7"));
  EXPECT_TRUE(made.made_authority);
  EXPECT_EQ(made.fingerprint, fingerprint_of(server_one.get()));
  EXPECT_EQ(made.authority_fingerprint, fingerprint_of(authority.get()));
  EXPECT_EQ(content_of(directory_ / "clients/db1/ca-cert.pem"), content_of(directory_ / "ca.crt"));
}

TEST_F(CertificateAuthorityTest, KeysAreTheOwnersAlone) {
  cdp::value_or_throw(server());
  cdp::value_or_throw(client("db1"));
  EXPECT_EQ(mode_of(directory_ / "ca.key"), 0600u);
  EXPECT_EQ(mode_of(directory_ / "server.key"), 0600u);
  EXPECT_EQ(mode_of(directory_ / "clients/db1/client-key.pem"), 0600u);
  EXPECT_EQ(mode_of(directory_ / "ca.crt"), 0644u);
  EXPECT_EQ(mode_of(directory_ / "server.crt"), 0644u);
  EXPECT_EQ(mode_of(directory_ / "clients/db1/client-cert.pem"), 0644u);
  EXPECT_EQ(mode_of(directory_ / "clients"), 0700u);
  const Key key = cdp::value_or_throw(key_of_pem(content_of(directory_ / "server.key")));
  EXPECT_EQ(X509_check_private_key(certificate_at(directory_ / "server.crt").get(), key.get()), 1);
}

TEST_F(CertificateAuthorityTest, FilesBelongToTheDirectorysOwner) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root gives files away";
  constexpr uid_t kOther = 65534;
  fs::create_directory(directory_);
  ASSERT_EQ(::chown(directory_.c_str(), kOther, kOther), 0);
  cdp::value_or_throw(server());
  cdp::value_or_throw(client("db1"));
  for (const auto& entry : fs::recursive_directory_iterator(directory_)) {
    struct stat about{};
    ASSERT_EQ(::stat(entry.path().c_str(), &about), 0);
    EXPECT_EQ(about.st_uid, kOther) << entry.path();
  }
}

TEST_F(CertificateAuthorityTest, ARenewalKeepsTheCaTheKeyAndTheNames) {
  const Issued first = cdp::value_or_throw(server({"vault.example"}, 10));
  const std::string authority = content_of(directory_ / "ca.crt");
  const std::string authority_key = content_of(directory_ / "ca.key");
  const std::string key = content_of(directory_ / "server.key");
  const Issued second = cdp::value_or_throw(server());
  EXPECT_FALSE(second.made_authority);
  EXPECT_EQ(content_of(directory_ / "ca.crt"), authority);
  EXPECT_EQ(content_of(directory_ / "ca.key"), authority_key);
  EXPECT_EQ(content_of(directory_ / "server.key"), key);
  EXPECT_EQ(second.names, first.names);
  EXPECT_GT(second.not_after, first.not_after);
  EXPECT_NE(second.fingerprint, first.fingerprint);
  EXPECT_EQ(verdict(certificate_at(directory_ / "ca.crt").get(),
                    certificate_at(directory_ / "server.crt").get(), X509_PURPOSE_SSL_SERVER),
            X509_V_OK);
  const Issued third = cdp::value_or_throw(server({"other.example"}));
  EXPECT_THAT(third.names, Contains("other.example"));
  EXPECT_THAT(third.names, testing::Not(Contains("vault.example")));
}

TEST_F(CertificateAuthorityTest, ACertificateEndsWithItsCaAtTheLatestAndBeganALittleAgo) {
  cdp::value_or_throw(server({}, kDaysMax));
  const Lifetime authority = lifetime_of(certificate_at(directory_ / "ca.crt").get());
  const Lifetime leaf = lifetime_of(certificate_at(directory_ / "server.crt").get());
  EXPECT_LE(leaf.not_after, authority.not_after);
  EXPECT_LT(leaf.not_before, std::time(nullptr) - 60);
  EXPECT_FALSE(server({}, 0).ok());
  EXPECT_FALSE(server({}, kDaysMax + 1).ok());
}

TEST_F(CertificateAuthorityTest, HalfACaIsRefusedAndNothingIsOverwritten) {
  cdp::value_or_throw(server());
  fs::rename(directory_ / "ca.key", directory_ / "elsewhere");
  const std::string before = content_of(directory_ / "server.crt");
  const auto refused = server();
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, HasSubstr("put the missing one back"));
  EXPECT_FALSE(client("db1").ok());
  EXPECT_EQ(content_of(directory_ / "server.crt"), before);
  EXPECT_FALSE(fs::exists(directory_ / "ca.key"));

  std::ofstream{directory_ / "ca.key"} << content_of(directory_ / "server.key");
  ::chmod((directory_ / "ca.key").c_str(), 0600);
  EXPECT_THAT(server().error().message, HasSubstr("is not the key of"));
  ::chmod((directory_ / "ca.key").c_str(), 0640);
  EXPECT_THAT(server().error().message, HasSubstr("chmod 600"));
}

TEST_F(CertificateAuthorityTest, AClientsCertificateIsReplacedOnlyWhenAsked) {
  cdp::value_or_throw(server());
  const Issued first = cdp::value_or_throw(client("db1"));
  const auto refused = client("db1");
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, EEXIST);
  EXPECT_THAT(refused.error().message, HasSubstr("--force"));
  const Issued second = cdp::value_or_throw(client("db1", true));
  EXPECT_NE(first.fingerprint, second.fingerprint);
  // Nothing is left of the making.
  std::vector<std::string> found;
  for (const auto& entry : fs::directory_iterator(directory_ / "clients")) {
    found.push_back(entry.path().filename());
  }
  EXPECT_THAT(found, ElementsAre("db1"));
}

TEST_F(CertificateAuthorityTest, NamesOfAnotherFormAreRefused) {
  for (const char* bad : {"", "a b", "-a", "a-", "a..b", "https://a", "[::1]", "a:443", "*", "a/b",
                          "DNS:a,IP:127.0.0.1"}) {
    EXPECT_EQ(server({bad}).error().code, EINVAL) << bad;
  }
  EXPECT_FALSE(fs::exists(directory_)) << "nothing is made";
  EXPECT_TRUE(server({"*.example.com", "a_b", "2001:db8::7"}).ok());
  for (const std::string& bad :
       {std::string{}, std::string{"."}, std::string{".."}, std::string{"../x"}, std::string{"a/b"},
        std::string{".new"}, std::string{"a b"}, std::string(65, 'a')}) {
    EXPECT_EQ(client(bad).error().code, EINVAL) << bad;
  }
  EXPECT_TRUE(client(std::string(64, 'a')).ok());
}

TEST_F(CertificateAuthorityTest, NoCaAndNoDirectoryAreSaidWithWhatToDo) {
  EXPECT_THAT(client("db1").error().message, HasSubstr("`hindsight tls init` makes one"));
  const auto refused = issue_server({(root_ / "missing/tls").string()});
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, HasSubstr((root_ / "missing").string()));
}

// The kernel's limit on files stands for a disk that is full.
TEST_F(CertificateAuthorityTest, ADiskThatIsFullLeavesNothingHalfMade) {
  cdp::value_or_throw(server());
  const std::string before = content_of(directory_ / "server.crt");
  const auto death = [this] {
    struct rlimit none{1, 1};
    ::signal(SIGXFSZ, SIG_IGN);
    ::setrlimit(RLIMIT_FSIZE, &none);
    std::exit(server().ok() || client("db1").ok() ? 1 : 0);
  };
  EXPECT_EXIT(death(), testing::ExitedWithCode(0), "");
  EXPECT_EQ(content_of(directory_ / "server.crt"), before);
  for (const auto& entry : fs::recursive_directory_iterator(directory_)) {
    EXPECT_FALSE(entry.path().filename().string().starts_with(".new-")) << entry.path();
  }
  EXPECT_FALSE(fs::exists(directory_ / "clients/db1"));
}

TEST_F(CertificateAuthorityTest, SerialsAreRandomAnd128BitsLong) {
  cdp::value_or_throw(server());
  const Certificate one = certificate_at(directory_ / "server.crt");
  EXPECT_EQ(X509_get0_serialNumber(one.get())->length, 16);
  cdp::value_or_throw(server());
  const Certificate two = certificate_at(directory_ / "server.crt");
  EXPECT_NE(ASN1_INTEGER_cmp(X509_get0_serialNumber(one.get()), X509_get0_serialNumber(two.get())),
            0);
}

}  // namespace
}  // namespace tools::tls
