// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/access/rights.h"

#include <fmt/ranges.h>

#include <type_traits>

namespace tools {
namespace {

struct Role {
  Roles role;
  std::string_view name;  // empty: none for people
  Rights rights;
};

constexpr Role kRoles[] = {
    {Roles::kViewer, "viewer", Rights::kSee},
    {Roles::kOperator, "operator", Rights::kSee | Rights::kOperate},
    {Roles::kRestorer, "restorer", Rights::kSee | Rights::kRestore},
    {Roles::kAdmin, "admin", Rights::kSee | Rights::kSeeAudit | Rights::kAdminister},
    {Roles::kSeesData, "", Rights::kSeeData},
};

struct Meaning {
  Rights right;
  std::string_view wants;
};

constexpr Meaning kMeanings[] = {
    {Rights::kSee, "a role, such as viewer"}, {Rights::kSeeData, "leave to see data (sees_data)"},
    {Rights::kOperate, "the role operator"},  {Rights::kRestore, "the role restorer"},
    {Rights::kSeeAudit, "the role admin"},    {Rights::kAdminister, "the role admin"},
};

}  // namespace

Rights rights_of(Roles roles) {
  Rights rights = Rights::kNone;
  for (const Role& each : kRoles) {
    if (includes(roles, each.role)) rights = rights | each.rights;
  }
  return rights;
}

cdp::Result<Roles> parse_roles(const std::vector<std::string>& names) {
  Roles roles = Roles::kNone;
  for (const std::string& name : names) {
    Roles found = Roles::kNone;
    for (const Role& each : kRoles) {
      if (!each.name.empty() && each.name == name) found = each.role;
    }
    if (found == Roles::kNone) {
      return cdp::make_error(
          EINVAL, "there is no role \"{}\": there are viewer, operator, restorer and admin", name);
    }
    roles = roles | found;
  }
  return roles;
}

std::vector<std::string_view> names_of(Roles roles) {
  std::vector<std::string_view> names;
  for (const Role& each : kRoles) {
    if (!each.name.empty() && includes(roles, each.role)) names.push_back(each.name);
  }
  return names;
}

cdp::Status decide(const Principal& who, Rights wanted) {
  if (who.kind == Principal::Kind::kNobody) {
    return cdp::make_error(EKEYREJECTED, "this wants a user who has signed in, or a token");
  }
  if (includes(who.rights, wanted)) return {};
  std::vector<std::string_view> lacking;
  for (const Meaning& each : kMeanings) {
    if (includes(wanted, each.right) && !includes(who.rights, each.right)) {
      lacking.push_back(each.wants);
    }
  }
  return cdp::make_error(EPERM, "{} may not do this: it wants {}", who.name,
                         fmt::join(lacking, " and "));
}

}  // namespace tools
