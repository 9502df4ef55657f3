// SPDX-License-Identifier: Apache-2.0
#include "tools/cli/command_line.h"

#include <CLI/CLI.hpp>
#include <cstdint>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "tools/api/size.h"
#include "tools/cli/command_line_parts.h"

namespace tools::cli {

const char kPointsHelp[] =
    "POINT is one of\n"
    "  2020-02-23T18:56:00+08:00   a moment, with its offset from UTC; fractions to a nanosecond\n"
    "  \"2020-02-23 18:56\"          a clock in the local zone, or in the one of --tz\n"
    "  18:56  \"yesterday 18:56\"    today's, yesterday's\n"
    "  \"5 minutes ago\"\n"
    "  lsn:1234                    a place in the sequence of all changes\n"
    "  mark:before-upgrade         a point that somebody named with `hindsight mark`\n"
    "  now  first                  the newest and the oldest point\n"
    "A time means the state after every write stamped at or before it: 18:56:00 is the instant at\n"
    "which 18:56 struck. Times that a change of the clock made ambiguous are refused, with the\n"
    "candidates shown; so are points inside a gap, where writes bypassed the journal, unless "
    "--force\n"
    "is said.";

const char kExitCodes[] =
    "Exit codes: 0 done; 1 failed; 2 wrong usage; 3 done, but with something to know, such as a\n"
    "crash or a gap at the asked point (named on stderr).";

namespace {

constexpr char kAt[] = "The point in time, see below";
constexpr char kForce[] = "Take a point inside a gap too, with what is known of it";

constexpr char kOverview[] =
    "Hindsight gives back any protected volume as it was at any moment.\n"
    "Alone, it says how things stand, and which commands come next.\n"
    "Asks the daemon of this machine; another's with --server https://HOST:PORT, after `login`; "
    "or\n"
    "reads a vault directly with --vault.";

constexpr char kWhereToReadOn[] = "`hindsight VERB --help` explains a verb.";
constexpr char kVolumeArgument[] = "The volume's name, or id:UUID";

void add_volume_verbs(CLI::App& app, CommandLine& line, std::string& size) {
  CLI::App& volume = *app.add_subcommand(
      "volume", "create, list, show, resize, rename, remove, resume: protected volumes");
  volume.require_subcommand(1);

  CLI::App& create = *volume.add_subcommand("create", "Protect a new volume; prints its NBD URI");
  create.add_option("NAME", line.name, "1 to 64 of A-Z a-z 0-9 . _ -")->required();
  create.add_option("--size", size, "Its size: a whole number and K, M, G or T")
      ->required()
      ->type_name("SIZE");
  create
      .add_option("--backing", line.backing,
                  "Where the live data is kept: a file or block device, opened by the daemon. "
                  "Without it, a sparse file under the daemon's state directory")
      ->type_name("PATH");
  create.footer("Example: hindsight volume create shop --size 10G");
  create.callback([&line] { line.verb = Verb::kVolumeCreate; });

  CLI::App& list = *volume.add_subcommand("list", "List the volumes");
  list.add_flag("--removed", line.with_removed, "Also the removed ones, whose history is kept");
  list.callback([&line] { line.verb = Verb::kVolumeList; });

  CLI::App& show = *volume.add_subcommand("show", "Show one volume");
  show.add_option("NAME", line.name, kVolumeArgument)->required();
  show.callback([&line] { line.verb = Verb::kVolumeShow; });

  CLI::App& resize = *volume.add_subcommand("resize", "Change a volume's size");
  resize.add_option("NAME", line.name, kVolumeArgument)->required();
  resize.add_option("--size", size, "The new size: a whole number and K, M, G or T")
      ->required()
      ->type_name("SIZE");
  resize.footer(
      "Shrinking trims what lies beyond the new size; it stays in history. Connected clients see\n"
      "the new size when they connect again.");
  resize.callback([&line] { line.verb = Verb::kVolumeResize; });

  CLI::App& rename = *volume.add_subcommand("rename", "Give a volume another name");
  rename.add_option("NAME", line.name, kVolumeArgument)->required();
  rename.add_option("NEW", line.new_name, "The new name")->required();
  rename.footer("At points before, the volume keeps the name that it had there.");
  rename.callback([&line] { line.verb = Verb::kVolumeRename; });

  CLI::App& remove = *volume.add_subcommand("remove", "Stop serving and protecting a volume");
  remove.add_option("NAME", line.name, kVolumeArgument)->required();
  remove.footer(
      "Its backing store and its history stay: `restore` goes on working for every point up to\n"
      "now, and the name stays reserved while the history exists.");
  remove.callback([&line] { line.verb = Verb::kVolumeRemove; });

  CLI::App& resume = *volume.add_subcommand("resume", "Let writers connect again after a rollback");
  resume.add_option("NAME", line.name, kVolumeArgument)->required();
  resume.callback([&line] { line.verb = Verb::kVolumeResume; });
}

void add_restore(CLI::App& app, CommandLine& line, std::string& at, std::string& format) {
  CLI::App& restore = *app.add_subcommand("restore", "Write a volume, as it was, to an image");
  restore.add_option("NAME", line.name, "The name that the volume had at the point, or id:UUID")
      ->required();
  restore.add_option("--at", at, kAt)->required()->type_name("POINT");
  restore
      .add_option("--to", line.to,
                  "A new file, a block device, or - for standard output; opened by this command")
      ->required()
      ->type_name("FILE|DEVICE|-");
  restore.add_option("--format", format, "raw (the default), or qcow2, made by qemu-img")
      ->type_name("FORMAT");
  restore.add_flag(
      "--force", line.force,
      "Replace a file, overwrite a device that is not blank; take a point inside a gap");
  restore.footer(
      std::string{
          "A file appears under its name only when it is whole and durable; a restore that fails\n"
          "leaves none. It is sparse where the volume holds zeroes. The live volume is not "
          "touched.\n"
          "Example: hindsight restore shop --at \"5 minutes ago\" --to shop.img\n\n"} +
      kPointsHelp);
  restore.callback([&line, &at, &format] {
    line.verb = Verb::kRestore;
    line.at = at;
    if (format == "qcow2") {
      line.format = restore::ImageFormat::kQcow2;
    } else if (format != "raw") {
      throw CLI::ValidationError("the format is raw or qcow2, not " + format);
    }
  });
}

constexpr char kNamesArgument[] =
    "The names that the volumes had at the point, or id:UUID; all are taken at one LSN";

// --as for each NAME, in their order.
void check_new_names(const CommandLine& line) {
  if (line.new_names.size() == line.names.size()) return;
  throw CLI::ValidationError(line.names.size() == 1 ? "give one new name, --as NEW"
                                                    : "give --as NEW once for each volume");
}

void add_recovery_verbs(CLI::App& app, CommandLine& line, std::string& at) {
  CLI::App& view = *app.add_subcommand("view", "Print where a point can be read, as it was");
  view.add_option("NAME", line.names, kNamesArgument)->required();
  view.add_option("--at", at, kAt)->required()->type_name("POINT");
  view.add_flag("--force", line.force, kForce);
  view.footer(
      std::string{"Prints an NBD URI for each volume: a read-only device that costs nothing "
                  "until it is read.\nExample: nbdcopy \"$(hindsight view shop --at \"5 "
                  "minutes ago\")\" shop.img\n\n"} +
      kPointsHelp);
  view.callback([&line, &at] {
    line.verb = Verb::kView;
    line.at = at;
  });

  CLI::App& clone = *app.add_subcommand(
      "clone", "Make a writable device of a point; list and remove such clones");
  clone.add_option("NAME", line.names, kNamesArgument);
  CLI::Option* clone_at = clone.add_option("--at", at, kAt)->type_name("POINT");
  clone.add_option("--as", line.new_names, "The clone's name, for each volume in turn")
      ->type_name("NEW");
  clone.add_flag("--force", line.force, kForce);
  clone.footer(
      "What is written to a clone is kept aside; the volume and its history are not touched, and\n"
      "the clone is not protected. It stays until it is removed.\n"
      "Example: hindsight clone shop --at mark:before-upgrade --as shop-test\n"
      "         hindsight clone list\n"
      "         hindsight clone remove shop-test");
  clone.require_subcommand(0, 1);
  CLI::App& clone_list = *clone.add_subcommand("list", "List the clones");
  clone_list.callback([&line] { line.verb = Verb::kCloneList; });
  CLI::App& clone_remove =
      *clone.add_subcommand("remove", "Remove a clone, with what was written to it");
  clone_remove.add_option("NEW", line.name, "The clone's name")->required();
  clone_remove.callback([&line] { line.verb = Verb::kCloneRemove; });
  clone.final_callback([&line, &at, &clone, clone_at] {
    if (!clone.get_subcommands().empty()) return;
    line.verb = Verb::kClone;
    if (line.names.empty()) throw CLI::ValidationError("NAME is required");
    if (clone_at->count() == 0) throw CLI::ValidationError("--at is required");
    line.at = at;
    check_new_names(line);
  });

  CLI::App& recover =
      *app.add_subcommand("recover", "Make a new protected volume of a point, served at once");
  recover.add_option("NAME", line.names, kNamesArgument)->required();
  recover.add_option("--at", at, kAt)->required()->type_name("POINT");
  recover.add_option("--as", line.new_names, "The new volume's name, for each volume in turn")
      ->required()
      ->type_name("NEW");
  recover
      .add_option("--backing", line.backing,
                  "Where the new volume's live data is kept; blank. For one volume only")
      ->type_name("PATH");
  recover.add_flag("--force", line.force, kForce);
  recover.footer(
      "The new volume can be written to at once, and has a history of its own from there on. Its\n"
      "content is copied to its backing store behind; `hindsight volume show` tells how far that "
      "is.\n"
      "Example: hindsight recover shop --at \"2020-02-23 18:56\" --as shop-recovered");
  recover.callback([&line, &at] {
    line.verb = Verb::kRecover;
    line.at = at;
    check_new_names(line);
    if (!line.backing.empty() && line.names.size() > 1) {
      throw CLI::ValidationError("--backing is for one volume");
    }
  });

  CLI::App& rollback =
      *app.add_subcommand("rollback", "Take live volumes back to a point; can be undone");
  rollback.add_option("NAME", line.names, kNamesArgument)->required();
  rollback.add_option("--at", at, kAt)->required()->type_name("POINT");
  rollback.add_flag("--dry-run", line.dry_run, "Only say what would change");
  rollback.add_flag("--disconnect", line.disconnect,
                    "End the clients that are connected, and let none write until `volume resume`");
  rollback.add_flag("--yes", line.yes,
                    "Do not ask; the point must then mean the same whenever it is read");
  rollback.add_flag("--force", line.force, kForce);
  rollback.footer(
      "Unmount the volume on its hosts first: a mounted file system would write its cache over "
      "what\ncomes back. The state before stays a point, which is printed: rolling back to it "
      "undoes this.\nExample: hindsight rollback shop shop-log --at 2020-02-23T18:55:59+08:00");
  rollback.callback([&line, &at] {
    line.verb = Verb::kRollback;
    line.at = at;
  });

  CLI::App& diff = *app.add_subcommand("diff", "Show where two points of a volume differ");
  diff.add_option("NAME", line.name, "The name that the volume had, or id:UUID")->required();
  diff.add_option("--from", line.from, "One point")->required()->type_name("POINT");
  diff.add_option("--to", line.until, "The other point")->required()->type_name("POINT");
  diff.add_flag("--force", line.force, kForce);
  diff.footer(
      "Blocks that were written in between are shown, even where they were written with what they "
      "held.");
  diff.callback([&line] { line.verb = Verb::kDiff; });

  CLI::App& check = *app.add_subcommand(
      "check", "Have the daemon check the file systems that a volume has at a point");
  check.add_option("NAME", line.name, "The name that the volume had at the point, or id:UUID")
      ->required();
  check.add_option("--at", at, kAt)->required()->type_name("POINT");
  check.add_flag("--force", line.force, kForce);
  check.footer(
      "Before a point is brought back: each file system is checked by its own tool, on a copy that "
      "is\nthrown away, with its journal replayed as a mount would. Exit code 3 where one is "
      "damaged, needs\na mount or was not checked, and where nothing is known.\n"
      "Example: hindsight check shop --at \"5 minutes ago\"");
  check.callback([&line, &at] {
    line.verb = Verb::kCheck;
    line.at = at;
  });
}

void add_other_verbs(CLI::App& app, CommandLine& line, std::string& at,
                     std::vector<std::string>& words) {
  CLI::App& points = *app.add_subcommand("points", "Resolve a point, or show the ends of history");
  points.add_option("NAME", line.name, "The name that the volume had at the point, or id:UUID")
      ->required();
  points.add_option("--at", at, kAt)->type_name("POINT");
  points.add_flag("--force", line.force, kForce);
  points.footer(std::string{"Without --at: both ends of the volume's history, and its marks.\n\n"} +
                kPointsHelp);
  points.callback([&line, &at, &points] {
    line.verb = Verb::kPoints;
    if (points.count("--at") > 0) line.at = at;
  });

  CLI::App& timeline = *app.add_subcommand("timeline", "Show what happened to a volume, and when");
  timeline.add_option("NAME", line.name, kVolumeArgument)->required();
  timeline.add_option("--since", line.from, "From this point on (default an hour before the end)")
      ->type_name("POINT");
  timeline.add_option("--until", line.until, "Up to this point (default the end of history)")
      ->type_name("POINT");
  timeline
      .add_option("--step", line.step,
                  "Time that is told together, such as 1s, 5min, 1h or 1d (default what fits)")
      ->type_name("TIME")
      ->transform(CLI::AsNumberWithUnit(
          std::map<std::string, std::uint64_t>{
              {"s", 1}, {"m", 60}, {"min", 60}, {"h", 3600}, {"d", 86400}},
          CLI::AsNumberWithUnit::Options::UNIT_REQUIRED, "TIME"))
      ->check([](const std::string& step) {
        return std::string{step == "0" ? "a step is a second at least, 1s" : ""};
      });
  timeline.footer(
      std::string{"Where writes, trims, or overwritten blocks stand out is where to look closer; "
                  "days and hours\nare those of UTC.\n"
                  "Example: hindsight timeline shop --since \"2 hours ago\"\n\n"} +
      kPointsHelp);
  timeline.callback([&line] { line.verb = Verb::kTimeline; });

  CLI::App& mark = *app.add_subcommand("mark", "Name the present point of a volume, or of all");
  mark.add_option("NAME LABEL", words, "The volume, and the label, which must be new")
      ->required()
      ->expected(1, 2);
  mark.add_flag("--all", line.all_volumes, "For every volume; give the LABEL alone");
  mark.footer(
      "Examples: hindsight mark shop before-upgrade\n"
      "          hindsight mark --all before-upgrade");
  mark.callback([&line, &words] {
    line.verb = Verb::kMark;
    if (line.all_volumes != (words.size() == 1)) {
      throw CLI::ValidationError(line.all_volumes ? "with --all, mark takes a LABEL and no NAME"
                                                  : "mark takes a NAME and a LABEL");
    }
    line.label = words.back();
    if (!line.all_volumes) line.name = words.front();
  });

  CLI::App& verify = *app.add_subcommand("verify", "Check that history is what was written");
  verify.add_flag("--deep", line.deep, "Read and hash every byte, not the chain of digests alone");
  verify.callback([&line] { line.verb = Verb::kVerify; });

  CLI::App& status = *app.add_subcommand("status", "Show volumes, journal, lag and alerts");
  status.callback([&line] { line.verb = Verb::kStatus; });

  CLI::App& jobs = *app.add_subcommand(
      "jobs", "Long work of the daemon: list it, show one with what came of it, cancel one");
  jobs.require_subcommand(0, 1);
  jobs.add_option("--limit", line.limit, "At most so many, the newest first (default 100)")
      ->type_name("COUNT");
  jobs.add_option("--before", line.before, "Only those with smaller numbers")->type_name("ID");
  CLI::App& job_show = *jobs.add_subcommand("show", "One job");
  job_show.add_option("ID", line.job, "Its number")->required();
  job_show.callback([&line] { line.verb = Verb::kJobShow; });
  CLI::App& job_cancel = *jobs.add_subcommand("cancel", "End a job that runs");
  job_cancel.add_option("ID", line.job, "Its number")->required();
  job_cancel.callback([&line] { line.verb = Verb::kJobCancel; });
  jobs.final_callback([&line, &jobs] {
    if (jobs.get_subcommands().empty()) line.verb = Verb::kJobs;
  });

  CLI::App& alert = *app.add_subcommand("alert", "How operators are told of what is wrong");
  alert.require_subcommand(1);
  CLI::App& test = *alert.add_subcommand(
      "test", "Have the daemon tell its webhook of a test, and say what came of it");
  test.callback([&line] { line.verb = Verb::kAlertTest; });
}

// No verb, and no word that might have been meant as one.
bool asks_for_nothing(const CLI::App& app, const CLI::ParseError& error) {
  return dynamic_cast<const CLI::RequiredError*>(&error) != nullptr &&
         app.get_subcommands().empty() && app.remaining().empty();
}

// One sentence, and where to read on.
void say_wrong_usage(const CLI::App& app, const CLI::ParseError& error) {
  std::string verb;
  const CLI::App* deepest = &app;
  while (!deepest->get_subcommands().empty()) {
    deepest = deepest->get_subcommands().front();
    verb += " " + deepest->get_name();
  }
  std::string what = error.what();
  const std::vector<std::string> unknown = deepest->remaining();
  const bool wants_verb = dynamic_cast<const CLI::RequiredError*>(&error) != nullptr &&
                          !deepest->get_subcommands([](const CLI::App*) { return true; }).empty();
  if (wants_verb && !unknown.empty()) {
    const std::string said =
        verb.empty() ? unknown.front() : verb.substr(1) + " " + unknown.front();
    what = fmt::format("there is no verb \"{}\"", said);
  } else if (wants_verb) {
    what = "a verb is missing";
    if (verb.empty()) what += ", such as `hindsight status`";
  }
  std::fprintf(stderr, "hindsight: %s: `hindsight%s --help` explains\n", what.c_str(),
               verb.c_str());
}

}  // namespace

void describe_command_line(CLI::App& app, CommandLine& line, UncheckedWords& words) {
  app.name("hindsight");
  app.description(kOverview);
  app.set_version_flag("--version", "hindsight " HINDSIGHT_VERSION);
  app.require_subcommand(1);
  app.fallthrough();
  app.option_defaults()->always_capture_default(false);
  line.server = kDefaultServer;
  app.add_option("--server", line.server,
                 std::string{"The daemon to ask (default "} + kDefaultServer + ")")
      ->envname("HINDSIGHT_SERVER")
      ->type_name("unix:PATH|https://HOST:PORT");
  app.add_option("--ca", line.ca_file,
                 "Certificates of the CA that signed the server's, in PEM: the appliance's ca.crt. "
                 "Without it, the one of `login`, or those that this machine trusts")
      ->envname("HINDSIGHT_CA")
      ->type_name("FILE");
  app.add_option("--vault", line.vault,
                 "Read this vault with no daemon, or beside a running one: reading verbs only")
      ->type_name("DIR");
  app.add_option("--tz", line.tz, "Zone of times without an offset, and of what is printed")
      ->type_name("ZONE");
  app.add_flag("--json", line.json, "Print one JSON document, as the REST API has it");
  app.footer(std::string{kExitCodes} + "\n" + kWhereToReadOn);
  add_volume_verbs(app, line, words.size);
  add_restore(app, line, words.at, words.format);
  add_recovery_verbs(app, line, words.at);
  add_other_verbs(app, line, words.at, words.of_mark);
  add_audit(app, line, words.before);
  add_access_verbs(app, line);
  add_tls_verbs(app, line);
}

std::optional<int> parse_command_line(int argc, const char* const* argv, CommandLine* line) {
  UncheckedWords words;
  CLI::App app;
  describe_command_line(app, *line, words);
  try {
    app.parse(argc, argv);
    // The environment may name a server; only the words of the command line can contradict.
    if (app.count("--vault") > 0 && app.count("--server") > 0 &&
        std::getenv("HINDSIGHT_SERVER") == nullptr) {
      throw CLI::ValidationError("--server and --vault exclude each other");
    }
    if (!words.size.empty()) {
      const cdp::Result<std::uint64_t> bytes = api::parse_size(words.size);
      if (!bytes.ok()) throw CLI::ValidationError(bytes.error().message);
      line->size_bytes = *bytes;
    }
    if (!words.before.empty()) line->before = parse_lsn(words.before);
  } catch (const CLI::Success& asked) {
    return app.exit(asked);
  } catch (const CLI::ParseError& error) {
    if (asks_for_nothing(app, error) && !line->json) {
      line->verb = Verb::kNextSteps;
      return std::nullopt;
    }
    say_wrong_usage(app, error);
    return 2;
  }
  return std::nullopt;
}

}  // namespace tools::cli
