// SPDX-License-Identifier: Apache-2.0
#include "tools/api/client.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/json/object.hpp>
#include <boost/json/string.hpp>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <thread>

namespace tools::api {
namespace {

namespace fs = std::filesystem;

// A server of one connection that says what it is told to say.
class OneAnswer {
 public:
  explicit OneAnswer(std::string answer) {
    std::string name = (fs::temp_directory_path() / "hindsight_client_XXXXXX").string();
    directory_ = ::mkdtemp(name.data());
    path_ = (directory_ / "socket").string();
    listening_ = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path_.c_str(), sizeof address.sun_path - 1);
    EXPECT_EQ(::bind(listening_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(listening_, 1), 0);
    thread_ = std::thread{[this, text = std::move(answer)] {
      const int peer = ::accept(listening_, nullptr, nullptr);
      char buffer[4096];
      while (request_.find("\r\n\r\n") == std::string::npos) {
        const ssize_t got = ::recv(peer, buffer, sizeof buffer, 0);
        if (got <= 0) break;
        request_.append(buffer, static_cast<std::size_t>(got));
      }
      std::size_t at = 0;
      while (at < text.size()) {
        const ssize_t sent = ::send(peer, text.data() + at, text.size() - at, MSG_NOSIGNAL);
        if (sent <= 0) break;
        at += static_cast<std::size_t>(sent);
      }
      ::close(peer);
    }};
  }
  ~OneAnswer() {
    thread_.join();
    ::close(listening_);
    fs::remove_all(directory_);
  }
  Client client() const { return cdp::value_or_throw(Client::make("unix:" + path_)); }
  // Once the answer has been taken.
  const std::string& request() const { return request_; }

 private:
  fs::path directory_;
  std::string path_;
  int listening_ = -1;
  std::string request_;
  std::thread thread_;
};

std::string answer(std::string_view status, std::string_view type, std::string_view body) {
  return fmt::format("HTTP/1.1 {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n\r\n{}", status,
                     type, body.size(), body);
}

TEST(Client, PathsAndQueriesAreEncoded) {
  EXPECT_EQ(
      make_target({"api", "volumes", "id:7", "image"}, {{"at", "lsn:7"}, {"by_offset", "true"}}),
      "/api/volumes/id%3A7/image?at=lsn%3A7&by_offset=true");
  EXPECT_EQ(make_target({"a b", "../x", "\xe5\x89\x8d"}, {}), "/a%20b/..%2Fx/%E5%89%8D");
  EXPECT_EQ(make_target({"api"}, {{"at", "2020-02-23T18:56:00+08:00&x=#"}}),
            "/api?at=2020-02-23T18%3A56%3A00%2B08%3A00%26x%3D%23");
}

TEST(Client, ServersOfAnotherFormAreRefused) {
  for (const char* bad : {"", "unix:", "/path", "tcp:localhost:1", "http://host:1"}) {
    EXPECT_FALSE(Client::make(bad).ok()) << bad;
  }
}

TEST(Client, WhoIsNotKnownAndWhoMayNotAreToldApart) {
  EXPECT_EQ(error_of_answer(401, R"({"detail": "who are you?"})"),
            (cdp::Error{EKEYREJECTED, "who are you?"}));
  EXPECT_EQ(error_of_answer(401, "").code, EKEYREJECTED);
  EXPECT_EQ(error_of_answer(403, R"({"detail": "that is for admins"})"),
            (cdp::Error{EPERM, "that is for admins"}));
}

TEST(Client, FieldsAndCookiesGoBothWays) {
  OneAnswer server{"HTTP/1.1 204 No Content\r\nSet-Cookie: s=1; Path=/\r\n\r\n"};
  Client::Request request;
  request.method = "DELETE";
  request.path = {"api", "session"};
  request.fields = {{"Cookie", "s=1"}, {"X-CSRF-Token", "x"}};
  const auto answer = server.client().ask(request);
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  EXPECT_EQ(answer->set_cookie, "s=1; Path=/");
  EXPECT_TRUE(answer->document.is_null());
  EXPECT_TRUE(server.request().starts_with("DELETE /api/session HTTP/1.1\r\n"));
  EXPECT_NE(server.request().find("\r\nX-CSRF-Token: x\r\n"), std::string::npos);
}

TEST(Client, ADocumentComesAsJson) {
  OneAnswer server{answer("200 OK", "application/json", R"({"volumes": []})")};
  const auto document = server.client().get({"api", "volumes"}, {{"removed", "true"}});
  ASSERT_TRUE(document.ok()) << document.error().message;
  EXPECT_TRUE(document->as_object().contains("volumes"));
  EXPECT_TRUE(server.request().starts_with("GET /api/volumes?removed=true HTTP/1.1\r\n"));
}

TEST(Client, AProblemComesAsItsSentence) {
  OneAnswer server{
      answer("409 Conflict", "application/problem+json",
             R"({"title": "Conflict", "status": 409, "detail": "the name is taken"})")};
  const auto refused =
      server.client().send("POST", {"api", "volumes"}, boost::json::object{{"name", "shop"}});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().message, "the name is taken");
}

TEST(Client, ARequestThatIsRefusedBeforeItIsReadIsAnsweredNonetheless) {
  // Larger than what the kernel holds for a reader that does not read.
  const boost::json::value body{boost::json::string(8u << 20, 'x')};
  OneAnswer server{
      answer("413 Content Too Large", "application/problem+json", R"({"detail": "too long"})")};
  const auto refused = server.client().send("POST", {"api", "volumes"}, body);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().message, "too long");

  OneAnswer silent{""};
  const auto broken = silent.client().send("POST", {"api", "volumes"}, body);
  ASSERT_FALSE(broken.ok());
  EXPECT_NE(broken.error().message.find("sending a request"), std::string::npos)
      << broken.error().message;
}

TEST(Client, AProblemWithoutAReasonStillHasASentence) {
  EXPECT_EQ(error_of_answer(500, "").message,
            "the daemon answered with HTTP status 500 and no reason");
  EXPECT_EQ(error_of_answer(500, "<html>").message,
            "the daemon answered with HTTP status 500 and no reason");
  EXPECT_EQ(error_of_answer(404, R"({"detail": 7})").message,
            "the daemon answered with HTTP status 404 and no reason");
}

TEST(Client, WhatIsNotJsonOrNotHttpIsAnError) {
  {
    OneAnswer server{answer("200 OK", "text/plain", "hello")};
    EXPECT_FALSE(server.client().get({"api"}).ok());
  }
  {
    OneAnswer server{"SSH-2.0-OpenSSH\r\n\r\n"};
    EXPECT_FALSE(server.client().get({"api"}).ok());
  }
  {
    OneAnswer server{""};
    const auto broken = server.client().get({"api"});
    ASSERT_FALSE(broken.ok());
    EXPECT_NE(broken.error().message.find("closed the connection"), std::string::npos);
  }
}

TEST(Client, NobodyListeningIsSaidWithWhatToDo) {
  const auto refused = cdp::value_or_throw(Client::make("unix:/nonexistent/socket")).get({"api"});
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find("is hindsightd running?"), std::string::npos);
  EXPECT_FALSE(
      cdp::value_or_throw(Client::make("unix:/" + std::string(200, 'x'))).get({"api"}).ok());
}

TEST(Client, AChunkedBodyIsStreamedWhole) {
  std::string body;
  std::string wire = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 300; ++i) {
    const std::string piece(static_cast<std::size_t>(1 + i * 37), static_cast<char>('a' + i % 26));
    body += piece;
    wire += fmt::format("{:x}\r\n{}\r\n", piece.size(), piece);
  }
  OneAnswer server{wire + "0\r\n\r\n"};
  std::string received;
  const cdp::Status status =
      server.client().stream({"image"}, {}, [&](std::span<const std::byte> bytes) {
        received.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        return cdp::Status{};
      });
  ASSERT_TRUE(status.ok()) << status.error().message;
  EXPECT_TRUE(received == body);
}

TEST(Client, ABodyThatBreaksOffIsAnError) {
  OneAnswer server{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"};
  const cdp::Status status = server.client().stream(
      {"image"}, {}, [](std::span<const std::byte>) { return cdp::Status{}; });
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.error().message.find("closed the connection"), std::string::npos);
}

TEST(Client, AProblemInsteadOfAStreamIsItsSentence) {
  OneAnswer server{answer("404 Not Found", "application/problem+json",
                          R"({"detail": "there is no volume named shop"})")};
  const cdp::Status status =
      server.client().stream({"image"}, {}, [](std::span<const std::byte>) -> cdp::Status {
        ADD_FAILURE() << "a problem is no image";
        return {};
      });
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().message, "there is no volume named shop");
}

TEST(Client, ATakerThatFailsEndsTheStream) {
  OneAnswer server{answer("200 OK", "application/octet-stream", std::string(100'000, 'x'))};
  const cdp::Status status =
      server.client().stream({"image"}, {}, [](std::span<const std::byte>) -> cdp::Status {
        return cdp::make_error(ENOSPC, "the disk is full");
      });
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ENOSPC);
}

}  // namespace
}  // namespace tools::api
