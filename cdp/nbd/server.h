// SPDX-License-Identifier: Apache-2.0
//
// Server: accepts NBD connections from any number of listeners and runs a Session for each.
//
// Everything happens on the scheduler's thread. Exports are looked up when a client asks for one;
// a session holds its device until it has ended. `shutdown` must have returned before the server
// is destroyed, or every `serve` have ended with no session left.
#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cdp/block_device.h"
#include "cdp/io/scheduler.h"
#include "cdp/io/signal.h"
#include "cdp/io/stream.h"
#include "cdp/io/task.h"
#include "cdp/nbd/channel.h"
#include "cdp/nbd/limits.h"
#include "cdp/nbd/session.h"

namespace cdp::nbd {

class Server {
 public:
  struct Connection {
    std::string peer;                     // with its name, where it has proved one
    std::string export_name;              // as the client named it; "" while it negotiates
    const BlockDevice* device = nullptr;  // what it serves; null while it negotiates
    bool read_only = false;
    bool encrypted = false;
    Nanos began{};  // scheduler's time
  };

  // `exports` must outlive the server.
  Server(Scheduler& scheduler, ExportList& exports, Limits limits = {});
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Accepts connections until `shutdown`; call once per listener, side by side. A connection beyond
  // the limit waits, and those behind it in the listener's queue, until another ends; the one that
  // has negotiated for longest is ended for it after Limits::handshake_ns_min. So clients that
  // never come to the point keep nobody out, and nobody is ended in a negotiation that goes on.
  // Where all have an export, the new connection is closed at once.
  // `tls` holds for all connections of the listener.
  Task<void> serve(std::unique_ptr<Listener> listener, TlsTerms tls = {});

  // Stops listening, ends all sessions (Session::stop), and returns when they have ended.
  Task<void> shutdown();

  // Ends the sessions of one device, whatever name they have for it, as `shutdown` does; returns
  // when they have ended. Does not keep new ones from coming: that is the export list's part.
  Task<void> disconnect(std::shared_ptr<const BlockDevice> device);

  std::vector<Connection> connections() const;
  // How many serve it.
  std::size_t connections_to(const BlockDevice& device) const;

 private:
  Task<void> run_session(std::unique_ptr<Stream> stream, TlsTerms tls);
  Task<bool> room_for_one();

  Scheduler& scheduler_;
  ExportList& exports_;
  const Limits limits_;
  ServerShared shared_;
  std::list<Listener*> listeners_;
  std::list<Session*> sessions_;
  Signal ended_;  // a session, or a `serve`
  TaskGroup running_;
  bool shut_down_ = false;
};

}  // namespace cdp::nbd
