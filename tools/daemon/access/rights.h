// SPDX-License-Identifier: Apache-2.0
//
// Who may do what: roles, which administrators give, stand for rights, which operations want; and
// the one function that decides.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "cdp/base/result.h"
#include "cdp/base/types.h"

namespace tools {

// A set of what may be done.
enum class Rights : std::uint32_t {
  kNone = 0,
  kSee = 1,          // volumes, points, marks, figures
  kSeeData = 2,      // what volumes hold
  kOperate = 4,      // volumes, marks, views, clones
  kRestore = 8,      // rollback, recovery, images
  kSeeAudit = 16,    // who did what
  kAdminister = 32,  // users
};

// A set of roles: the bits of USER and TOKEN records (FORMAT.md). Of bits that are not known here,
// none gives a right.
enum class Roles : std::uint32_t {
  kNone = 0,
  kViewer = 1,
  kOperator = 2,
  kRestorer = 4,
  kAdmin = 8,
  kSeesData = 16,  // not called a role where people read it: it is given beside one
};

template <typename Set>
concept BitSet = std::is_same_v<Set, Rights> || std::is_same_v<Set, Roles>;

template <BitSet Set>
constexpr Set operator|(Set a, Set b) {
  return Set{static_cast<std::uint32_t>(a) | static_cast<std::uint32_t>(b)};
}
template <BitSet Set>
constexpr Set operator&(Set a, Set b) {
  return Set{static_cast<std::uint32_t>(a) & static_cast<std::uint32_t>(b)};
}
template <BitSet Set>
constexpr Set operator~(Set of) {
  return Set{~static_cast<std::uint32_t>(of)};
}
template <BitSet Set>
constexpr bool includes(Set all, Set wanted) {
  return (all & wanted) == wanted;
}

Rights rights_of(Roles roles);
// EINVAL for a name that there is not.
cdp::Result<Roles> parse_roles(const std::vector<std::string>& names);
// viewer, operator, restorer, admin; kSeesData is none of them.
std::vector<std::string_view> names_of(Roles roles);

// Who asks.
struct Principal {
  enum class Kind {
    kNobody,   // has not said who he is
    kProcess,  // at the control socket, by what the kernel says of it
    kSession,  // signed in, by a cookie
    kToken,
  };
  Kind kind = Kind::kNobody;
  std::string name = "nobody";  // a user's, or a process's: "root (uid 0)"
  std::string origin{};         // for the record: "the control socket", or an address
  Roles roles = Roles::kNone;
  Rights rights = Rights::kNone;
  std::string credential{};             // the session's secret; the token's id
  std::optional<cdp::Nanos> expires{};  // of a token, wall-clock time
};

// Whether `who` may do what wants `wanted`: EKEYREJECTED where he has to say first who he is, EPERM
// where he may not. Nothing else decides: a second factor, or an act that waits for another
// person's approval, has its place here.
cdp::Status decide(const Principal& who, Rights wanted);

}  // namespace tools
