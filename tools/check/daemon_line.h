// SPDX-License-Identifier: Apache-2.0
//
// DaemonLine: the checker's end of its talk with hindsightd, on its standard input
// (tools/daemon/checks/checker_protocol.h has every line). Blocking. The daemon is trusted: where
// it goes, or says something else, there is nothing left to do, and these throw.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <string>

#include "cdp/io/file_disk.h"

namespace check {

class DaemonLine {
 public:
  explicit DaemonLine(int socket) : socket_(socket) {}

  // The device's length, which the daemon says first.
  std::uint64_t receive_request();
  // A socket on which NBD serves that stretch. The error is the daemon's sentence.
  cdp::Result<cdp::FileDescriptor> open(std::uint64_t offset, std::uint64_t bytes);
  void say_doing(const std::string& what);
  // The last word, of the two.
  void say_result(boost::json::object result);
  void say_failed(const std::string& why);

 private:
  void send(const boost::json::object& message);
  // `received` takes a descriptor that came along.
  boost::json::object receive(cdp::FileDescriptor& received);

  const int socket_;
};

}  // namespace check
