// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/rest/operations.h"

#include "tools/api/extent_stream.h"

namespace tools {
namespace {

using Kind = Parameter::Kind;

constexpr bool kRequired = true;

std::vector<Operation> make_operations() {
  const Parameter volume{"volume", Kind::kText, "Its name, or id:ID", kRequired};
  const Parameter at{"at", Kind::kPoint, "The point", kRequired};
  return {
      {.method = "GET",
       .path = "/api/openapi.json",
       .id = "getDescription",
       .meaning = "This document",
       .answer = "application/json"},
      {.method = "GET",
       .path = "/api/status",
       .id = "getStatus",
       .meaning = "The appliance now: volumes, lag, history, alerts",
       .answer = "Status"},
      {.method = "GET",
       .path = "/api/volumes",
       .id = "listVolumes",
       .meaning = "The volumes, by name",
       .query = {{"removed", Kind::kFlag, "Those too that were removed"}},
       .answer = "Volumes"},
      {.method = "POST",
       .path = "/api/volumes",
       .id = "createVolume",
       .meaning = "A new protected volume, of zeroes, or with the content of a point: then it is "
                  "served at once, and its content copied behind",
       .body = {{"name", Kind::kText, "Its name", kRequired},
                {"size_bytes", Kind::kSize, "Its size; of one from a point, it has the size there"},
                {"origin", Kind::kVolumeAt, "The point that it begins with"},
                {"backing", Kind::kText,
                 "Absolute path of its backing store, in allowed_paths; without it a file of the "
                 "daemon's own"}},
       .status = 201,
       .answer = "NewVolume"},
      {.method = "GET",
       .path = "/api/volumes/{volume}",
       .id = "getVolume",
       .meaning = "One volume",
       .answer = "Volume"},
      {.method = "PATCH",
       .path = "/api/volumes/{volume}",
       .id = "changeVolume",
       .meaning = "Renames it, or gives it another size",
       .body = {{"name", Kind::kText, "Its new name"}, {"size_bytes", Kind::kSize, "Its new size"}},
       .answer = "Volume"},
      {.method = "DELETE",
       .path = "/api/volumes/{volume}",
       .id = "removeVolume",
       .meaning = "Stops serving and protecting it; its backing store and history stay",
       .answer = "Volume"},
      {.method = "POST",
       .path = "/api/volumes/{volume}/resume",
       .id = "resumeVolume",
       .meaning = "Lets writers connect again after a rollback that disconnected them",
       .answer = "Volume"},
      {.method = "GET",
       .path = "/api/volumes/{volume}/points",
       .id = "getPoints",
       .meaning = "The ends of its history and its marks; with a point, what that means",
       .query = {{"at", Kind::kPoint, "The point"}},
       .answer = "Points"},
      {.method = "GET",
       .path = "/api/volumes/{volume}/image",
       .id = "getImage",
       .meaning = "Its content at a point, as a stream of extents",
       .query = {at, {"by_offset", Kind::kFlag, "In the order of offsets, not of the journal"}},
       .answer = api::kExtentStreamMediaType},
      {.method = "GET",
       .path = "/api/volumes/{volume}/diff",
       .id = "getDiff",
       .meaning = "What changed between two points",
       .query = {{"from", Kind::kPoint, "The one point", kRequired},
                 {"to", Kind::kPoint, "The other one", kRequired}},
       .answer = "Diff"},
      {.method = "POST",
       .path = "/api/views",
       .id = "createView",
       .meaning =
           "Where a point is served, read-only; it comes with its first client and goes with "
           "the last",
       .body = {volume, at},
       .answer = "View"},
      {.method = "GET",
       .path = "/api/clones",
       .id = "listClones",
       .meaning = "The clones",
       .answer = "Clones"},
      {.method = "POST",
       .path = "/api/clones",
       .id = "createClone",
       .meaning = "A writable device at a point, kept aside and not protected",
       .body = {volume, at, {"name", Kind::kText, "Its name", kRequired}},
       .status = 201,
       .answer = "NewClone"},
      {.method = "DELETE",
       .path = "/api/clones/{clone}",
       .id = "removeClone",
       .meaning = "Removes it, with what was written to it",
       .answer = "RemovedClone"},
      {.method = "POST",
       .path = "/api/rollbacks",
       .id = "rollBack",
       .meaning = "Volumes go back to the point, which is resolved once, for the first of them",
       .body = {{"volumes", Kind::kTexts, "Their names, or id:ID", kRequired},
                at,
                {"dry_run", Kind::kFlag, "Only say what would change"},
                {"disconnect", Kind::kFlag,
                 "Cut off clients that may write; none may then, until the volume is resumed"}},
       .answer = "Rollback"},
      {.method = "GET",
       .path = "/api/marks",
       .id = "listMarks",
       .meaning = "The marks, by their places in history",
       .answer = "Marks"},
      {.method = "POST",
       .path = "/api/marks",
       .id = "createMark",
       .meaning = "Names the present point, of one volume or of all",
       .body = {{"label", Kind::kText, "Its name, which no other mark has", kRequired},
                {"volume", Kind::kText, "The volume, by name or id:ID"},
                {"all", Kind::kFlag, "True instead of a volume"}},
       .status = 201,
       .answer = "NewMark"},
      {.method = "POST",
       .path = "/api/verify",
       .id = "verify",
       .meaning = "Checks the chain and the checksums of the journal",
       .body = {{"deep", Kind::kFlag, "Read every body again, and hash it"}},
       .answer = "Verification"},
  };
}

}  // namespace

const std::vector<Operation>& operations() {
  static const std::vector<Operation> all = make_operations();
  return all;
}

}  // namespace tools
