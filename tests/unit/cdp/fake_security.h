// SPDX-License-Identifier: Apache-2.0
//
// What stands for TLS where the negotiation is tested: after a handshake of one byte, 'T' for 'T',
// every byte is on the wire with one bit turned, so that what is taken in clear shows.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <utility>

#include "cdp/nbd/channel.h"
#include "tests/unit/cdp/memory_device.h"
#include "tests/unit/cdp/memory_stream.h"

namespace cdp::test {

inline Bytes turned(Bytes bytes) {
  for (std::byte& one : bytes) one ^= std::byte{0x80};
  return bytes;
}

class TurnedStream final : public Stream {
 public:
  explicit TurnedStream(Stream& below) : below_(below), peer_(below.peer() + ",client=web1") {}

  Task<Result<std::size_t>> receive(std::span<const iovec> into) override {
    Result<std::size_t> got = co_await below_.receive(into);
    std::size_t left = got.ok() ? *got : 0;
    for (const iovec& part : into) {
      auto* const bytes = static_cast<std::byte*>(part.iov_base);
      for (std::size_t at = 0; at < part.iov_len && left > 0; ++at, --left) {
        bytes[at] ^= std::byte{0x80};
      }
    }
    co_return got;
  }
  Task<Status> send(std::span<const iovec> from) override {
    Bytes all;
    for (const iovec& part : from) {
      const auto* const bytes = static_cast<const std::byte*>(part.iov_base);
      all.insert(all.end(), bytes, bytes + part.iov_len);
    }
    all = turned(std::move(all));
    const iovec one{all.data(), all.size()};
    co_return co_await below_.send({&one, 1});
  }
  void shutdown() override { below_.shutdown(); }
  const std::string& peer() const override { return peer_; }

 private:
  Stream& below_;
  const std::string peer_;
};

class FakeSecurity final : public nbd::Security {
 public:
  // What the client may have; the names in `refused` are there, but not for it.
  MemoryExports exports;
  std::vector<std::string> refused;
  std::size_t handshakes = 0;

  Task<Result<Secured>> secure(Stream& below) override {
    ++handshakes;
    std::byte hello{};
    const iovec one{&hello, 1};
    Result<std::size_t> got = co_await below.receive({&one, 1});
    if (!got.ok()) co_return std::move(got).error();
    if (*got == 0 || hello != std::byte{'T'}) co_return make_error(EPROTO, "no handshake");
    Status answered = co_await below.send({&one, 1});
    if (!answered.ok()) co_return std::move(answered).error();
    Secured secured;
    secured.stream = std::make_unique<TurnedStream>(below);
    secured.exports = std::make_unique<View>(*this);
    co_return secured;
  }

 private:
  class View final : public ExportList {
   public:
    explicit View(FakeSecurity& of) : of_(of) {}
    std::vector<Entry> exports() const override { return of_.exports.exports(); }
    Task<Result<std::shared_ptr<BlockDevice>>> find(std::string name) override {
      for (const std::string& one : of_.refused) {
        if (one == name) co_return make_error(EACCES, "it has no right to {}", name);
      }
      co_return co_await of_.exports.find(std::move(name));
    }

   private:
    FakeSecurity& of_;
  };
};

}  // namespace cdp::test
