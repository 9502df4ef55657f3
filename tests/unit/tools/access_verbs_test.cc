// SPDX-License-Identifier: Apache-2.0
//
// The verbs of users and tokens against a daemon that answers by a script, on loopback.
#include "tools/cli/access_verbs.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "tools/cli/credentials.h"
#include "tools/cli/verbs.h"

namespace tools::cli {
namespace {

namespace asio = boost::asio;
namespace fs = std::filesystem;
using asio::ip::tcp;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

struct Answer {
  unsigned status;
  std::string body;
  std::string fields{};
};

// Gives its answers one after another, a connection each.
class Daemon {
 public:
  explicit Daemon(std::vector<Answer> answers)
      : answers_(std::move(answers)), thread_([this] { serve(); }) {}
  ~Daemon() { stop(); }
  std::string at() const {
    return fmt::format("http://127.0.0.1:{}", acceptor_.local_endpoint().port());
  }
  // All that was asked, header and body.
  const std::vector<std::string>& requests() {
    stop();
    return requests_;
  }

 private:
  void stop() {
    if (!thread_.joinable()) return;
    ::shutdown(acceptor_.native_handle(), SHUT_RDWR);
    thread_.join();
  }
  void serve() {
    for (const Answer& answer : answers_) {
      boost::system::error_code failed;
      tcp::socket socket{context_};
      acceptor_.accept(socket, failed);
      if (failed) return;
      std::string request;
      asio::read_until(socket, asio::dynamic_buffer(request), "\r\n\r\n", failed);
      const std::size_t length = request.find("Content-Length: ");
      if (length != request.npos) {
        const std::size_t whole =
            request.find("\r\n\r\n") + 4 + std::stoul(request.substr(length + 16));
        asio::read(socket, asio::dynamic_buffer(request),
                   asio::transfer_exactly(whole - std::min(whole, request.size())), failed);
      }
      requests_.push_back(request);
      asio::write(
          socket,
          asio::buffer(fmt::format("HTTP/1.1 {} X\r\n{}Content-Length: {}\r\n\r\n{}", answer.status,
                                   answer.fields, answer.body.size(), answer.body)),
          failed);
    }
  }

  const std::vector<Answer> answers_;
  asio::io_context context_;
  tcp::acceptor acceptor_{context_, tcp::endpoint{asio::ip::address_v4::loopback(), 0}};
  std::vector<std::string> requests_;
  std::thread thread_;
};

class AccessVerbsTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "hindsight_access_XXXXXX").string();
    root_ = ::mkdtemp(name.data());
    ::setenv("XDG_CONFIG_HOME", root_.c_str(), 1);
    ::unsetenv("HINDSIGHT_TOKEN");
    stdin_ = ::dup(STDIN_FILENO);
  }
  void TearDown() override {
    ::dup2(stdin_, STDIN_FILENO);
    ::close(stdin_);
    ::unsetenv("XDG_CONFIG_HOME");
    fs::remove_all(root_);
  }

  // Runs the verb with the lines as its standard input.
  int run(const Daemon& daemon, Verb verb, const std::string& name = {},
          const std::string& lines = {}) {
    int ends[2];
    EXPECT_EQ(::pipe(ends), 0);
    EXPECT_EQ(::write(ends[1], lines.data(), lines.size()), static_cast<ssize_t>(lines.size()));
    ::close(ends[1]);
    ::dup2(ends[0], STDIN_FILENO);
    ::close(ends[0]);
    line_.server = daemon.at();
    line_.verb = verb;
    line_.name = name;
    testing::internal::CaptureStderr();
    testing::internal::CaptureStdout();
    const int code = run_access_verb(line_, restore::TimeZone::utc()).value_or(-1);
    printed_ = testing::internal::GetCapturedStdout();
    said_ = testing::internal::GetCapturedStderr();
    return code;
  }
  static std::optional<StoredLogin> stored(const Daemon& daemon) {
    return cdp::value_or_throw(cdp::value_or_throw(CredentialStore::of_user()).find(daemon.at()));
  }

  fs::path root_;
  int stdin_ = -1;
  CommandLine line_;
  std::string printed_;
  std::string said_;
};

const Answer kSession{200, R"({"user": "alice", "csrf_token": "c1"})",
                      "Set-Cookie: s=1; Path=/; HttpOnly\r\n"};
const Answer kToken{201, R"({"id": "t1", "token": "hs_1", "expires": "2026-11-25T02:00:00Z"})"};

TEST_F(AccessVerbsTest, ALoginLeavesATokenAndNoSession) {
  Daemon daemon{{kSession, kToken, {204, ""}}};
  ASSERT_EQ(run(daemon, Verb::kLogin, "alice", "secret\n"), kDone) << said_;
  const auto login = stored(daemon);
  ASSERT_TRUE(login.has_value());
  EXPECT_EQ(login->token, "hs_1");
  EXPECT_EQ(login->token_id, "t1");
  EXPECT_THAT(said_ + printed_, Not(HasSubstr("hs_1")));
  EXPECT_THAT(said_, HasSubstr("until 2026-11-25 02:00:00 UTC"));
  EXPECT_THAT(
      daemon.requests(),
      ElementsAre(
          HasSubstr(R"({"name":"alice","password":"secret"})"),
          testing::AllOf(HasSubstr("POST /api/tokens "), HasSubstr("Cookie: s=1\r\n"),
                         HasSubstr("X-CSRF-Token: c1\r\n"), HasSubstr("\"days\":1")),
          testing::AllOf(HasSubstr("DELETE /api/session "), HasSubstr("X-CSRF-Token: c1\r\n"))));
}

TEST_F(AccessVerbsTest, AWrongPasswordLeavesNothingAndGivesNoAdvice) {
  const Daemon daemon{{{401, R"({"detail": "the name or the password is wrong"})"}}};
  EXPECT_EQ(run(daemon, Verb::kLogin, "alice", "wrong\n"), kFailed);
  EXPECT_EQ(said_, "hindsight: the name or the password is wrong\n");
  EXPECT_FALSE(stored(daemon).has_value());
}

TEST_F(AccessVerbsTest, ATokenThatIsRefusedEndsTheSessionToo) {
  Daemon daemon{{kSession, {403, R"({"detail": "no tokens for you"})"}, {204, ""}}};
  EXPECT_EQ(run(daemon, Verb::kLogin, "alice", "secret\n"), kFailed);
  EXPECT_FALSE(stored(daemon).has_value());
  EXPECT_THAT(daemon.requests().back(), HasSubstr("DELETE /api/session "));
}

TEST_F(AccessVerbsTest, ALogoutRevokesAndForgets) {
  Daemon daemon{{kSession, kToken, {204, ""}, {200, R"({"id": "t1"})"}}};
  ASSERT_EQ(run(daemon, Verb::kLogin, "alice", "secret\n"), kDone) << said_;
  ASSERT_EQ(run(daemon, Verb::kLogout), kDone) << said_;
  EXPECT_EQ(stored(daemon)->token, "");
  EXPECT_EQ(run(daemon, Verb::kLogout), kDone);
  EXPECT_THAT(said_, HasSubstr("nobody is signed in"));
  EXPECT_THAT(daemon.requests().back(),
              testing::AllOf(HasSubstr("DELETE /api/tokens/t1 "),
                             HasSubstr("Authorization: Bearer hs_1\r\n")));
}

TEST_F(AccessVerbsTest, ATokenThatCannotBeRevokedIsForgottenAndSaid) {
  const Daemon daemon{{kSession, kToken, {204, ""}, {500, R"({"detail": "the disk is full"})"}}};
  ASSERT_EQ(run(daemon, Verb::kLogin, "alice", "secret\n"), kDone) << said_;
  EXPECT_EQ(run(daemon, Verb::kLogout), kSomethingToKnow);
  EXPECT_THAT(said_, HasSubstr("the token t1 is forgotten here, but could not be revoked"));
  EXPECT_EQ(stored(daemon)->token, "");
}

TEST_F(AccessVerbsTest, TheTokenOfALoginIsShownByTheNextCommand) {
  Daemon daemon{{kSession, kToken, {204, ""}, {200, R"({"users": []})"}}};
  ASSERT_EQ(run(daemon, Verb::kLogin, "alice", "secret\n"), kDone) << said_;
  ASSERT_EQ(run(daemon, Verb::kUserList), kDone) << said_;
  EXPECT_THAT(daemon.requests().back(), HasSubstr("Authorization: Bearer hs_1\r\n"));
}

TEST_F(AccessVerbsTest, APasswordIsALineOfStandardInput) {
  Daemon daemon{{{201, R"({"name": "bob", "roles": ["viewer"]})"}, {204, ""}}};
  ASSERT_EQ(run(daemon, Verb::kUserCreate, "bob", "first\nsecond\n"), kDone) << said_;
  EXPECT_EQ(said_, "hindsight: the user bob is made: viewer\n");
  ASSERT_EQ(run(daemon, Verb::kUserPassword, "", "old\nnew"), kDone) << said_;
  EXPECT_THAT(daemon.requests(),
              ElementsAre(HasSubstr(R"("password":"first","roles":["viewer"],"sees_data":false)"),
                          HasSubstr(R"({"current":"old","new":"new"})")));
}

TEST_F(AccessVerbsTest, WithoutAPasswordNothingIsAsked) {
  Daemon daemon{{}};
  for (const char* lines : {"", "\n"}) {
    EXPECT_EQ(run(daemon, Verb::kUserCreate, "bob", lines), kFailed);
    EXPECT_THAT(said_, HasSubstr("no password of bob was given"));
  }
  EXPECT_EQ(run(daemon, Verb::kUserCreate, "bob", std::string(2000, 'x')), kFailed);
  EXPECT_THAT(daemon.requests(), ElementsAre());
}

TEST_F(AccessVerbsTest, AMadeTokenIsAloneOnStandardOutput) {
  const Daemon daemon{{kToken}};
  line_.label = "nightly";
  ASSERT_EQ(run(daemon, Verb::kTokenCreate), kDone) << said_;
  EXPECT_EQ(printed_, "hs_1\n");
  EXPECT_THAT(said_, HasSubstr("the token t1 (nightly) is valid until 2026-11-25"));
}

}  // namespace
}  // namespace tools::cli
