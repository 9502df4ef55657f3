// SPDX-License-Identifier: Apache-2.0
//
// A simulated life of an appliance: one seed, one run, the same trace. The whole of it takes part:
// the bytes of NBD sessions go in, through server, volumes, journal, time index and restore, and
// every operator's act is there (volumes come, go, grow and shrink; marks, views, clones, rollbacks
// and their undoing, instant recoveries), on one simulated store, clock and scheduler.
//
// The fault model, by store (its path on the SimStore):
//   all        a crash at any I/O: what was not synced is kept, dropped or torn at 512 bytes, in any
//              order (sim_file.h); slow I/O; the wall clock steps by seconds to years; clients
//              vanish, in the middle of a request too
//   index      every fault there is: EIO once or for long, full, writes that are lost or land
//              elsewhere, flipped bits. History has it all once more
//   vault      EIO once or for long on any I/O, full; flipped bits in sealed segments. Not: writes
//              that are lost or misplaced, for then nothing holds what was promised (rule 3's
//              alarm, and verify, are for that, and have tests of their own)
//   state      EIO, full
//   backing    EIO once or for long on any I/O. Not: flipped bits and lying writes, which a volume
//              shows as any disk does
// The interface of a Disk moves all of what was asked, or fails: short I/O is FileDisk's business
// and tested there (io_test.cc).
//
// Where faults strike only what has a second copy (kSecondCopy), the appliance must go on as if
// nothing had happened. Where they strike anything (kAnywhere), it may stop, loudly; it must not
// answer wrong bytes, nor, once it is started again on a store that has come to itself, have lost
// what was flushed.
//
// What must be true is judged by models that know only what clients were told: a ByteModel for each
// volume (any answer, at any time; everything flushed after every crash), and the whole content of
// all volumes at points taken while all was quiet, which must stay what they are for ever, through
// rollbacks, crashes and rebuilt indexes. Two small volumes have a client of their own that writes a
// counter to the one and then to the other: at every point whatsoever they are at most one apart.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/sim/appliance_world.h"
#include "tests/sim/clients.h"

namespace sim {

enum class FaultMode { kNone, kSecondCopy, kAnywhere };

// What a life may be made of.
enum class Act {
  kWork,  // clients, and an operator beside them
  kTakePoint,
  kRollBack,
  kResize,
  kRename,
  kCreate,
  kRecoverAsNew,
  kClone,
  kRemove,
  kStepClock,
  kVerify,
  kCheckPoints,
  kRestart,
  kCrash,
};

struct LifeOptions {
  unsigned phases = 6;
  // In place of phases: these, one after the other.
  std::vector<Act> script{};
  // An I/O, counted from 1 at the first start on over restarts and crashes, that fails; with
  // `sticky`, all from there on do, until the machine crashes or the script ends.
  std::optional<std::uint64_t> failing_io{};
  bool sticky = false;
  // One at which the machine stops.
  std::optional<std::uint64_t> killing_io{};
  FaultMode faults = FaultMode::kNone;
  bool crashes = true;
  journal::FingerprintFunction fingerprint = journal::fingerprint;
};

struct LifeCounts {
  std::uint64_t lives = 0;
  std::uint64_t starts = 0;
  std::uint64_t crashes = 0;
  std::uint64_t faults = 0;  // I/Os struck
  std::uint64_t ios = 0;
  std::uint64_t points = 0;        // taken
  std::uint64_t points_checked = 0;  // a volume's whole content each
  std::uint64_t rollbacks = 0;
  std::uint64_t recoveries = 0;
  std::uint64_t pair_counts = 0;  // steps of the counter in the pair
  std::uint64_t clones = 0;
  std::uint64_t resizes = 0;

  void add(const LifeCounts& other);
};

class ApplianceLife {
 public:
  ApplianceLife(std::uint64_t seed, LifeOptions options);
  ~ApplianceLife();

  // The first thing that was found ends it.
  void run();
  std::uint64_t script_ios() const { return script_ios_; }  // of the script itself
  // What happened, a line each: to be read with a finding.
  const std::vector<std::string>& story() const { return story_; }

  const std::vector<std::string>& findings() const { return findings_; }
  const LifeCounts& counts() const { return counts_; }
  std::uint64_t trace() const { return trace_.hash(); }

 private:
  using Content = std::vector<std::byte>;
  struct Tracked {
    std::string name;
    cdp::VolumeId id;
    std::unique_ptr<ByteModel> model;
    std::unique_ptr<Clients> clients;
    std::uint64_t size_bytes = 0;
    // What it becomes by an operator's act that is under way, or (`replaced`) has become.
    std::optional<Content> instead{};
    std::uint64_t act = 0;  // that one: it happens to all of its volumes or to none
    bool replaced = false;
    bool unreadable = false;  // for good: what rotted is needed for it
  };
  struct TrackedClone {
    std::unique_ptr<ByteModel> model;
    std::unique_ptr<Clients> clients;
  };
  struct Point {
    cdp::Lsn lsn;
    std::map<cdp::VolumeId, Content> content;
  };

  // --- Starts and ends (appliance_life.cc).
  void live_by_script();
  void arm_sweep();
  void come_to_itself();
  cdp::Status start();
  void begin_history();
  void make_first_volumes();  // those of them that there are not yet
  void stop_well();
  void crash_and_restart();
  void restart();
  void leave_store();
  void watch(const IoEvent& event);
  void judge();
  struct Outcome {
    bool to_none = true;
    bool to_all = true;
  };
  void judge(Tracked& volume, std::map<std::uint64_t, Outcome>& by_act);
  void judge_clone(const std::string& name, TrackedClone& clone);
  void adopt_new_volumes();
  void adopt(const std::string& name, const Content& content);

  // --- While clients are at work.
  void busy_phase();
  cdp::Task<void> session(Tracked& volume, std::uint64_t seed);
  cdp::Task<void> vanish_while_writing(NbdDevice& device, Tracked& volume);
  cdp::Task<void> unanswered_write(NbdDevice& device, Clients& clients, std::uint64_t offset,
                                   std::uint32_t bytes);
  cdp::Task<void> count_in_pair();
  cdp::Task<void> operator_at_work(std::uint64_t seed);
  cdp::Task<void> look_at_this_moment();
  cdp::Task<void> roll_back_under_fire();
  void inject_faults();

  // --- An operator's acts while all is quiet (appliance_acts.cc). Each may meet a crash.
  void quiet_phase();
  void random_act();
  void perform(Act act);
  void restart_in_good_order();
  void take_point();
  void roll_back();
  cdp::Task<cdp::Status> roll_back_to(const Point& point);
  void resize();
  void rename();
  void create();
  void recover_as_new();
  void clone();
  void write_to_clone(const std::string& name, TrackedClone& clone);
  void remove();
  void step_clock();
  void rot();
  void rot_history();
  void flip_bit(const std::string& path, std::uint64_t length_bytes);
  void verify();
  void check_points(std::size_t how_many);
  cdp::Task<void> check_point(const Point& point);

  // --- Small things.
  void reset(Tracked& volume, Content content);
  void add_volume(const std::string& name, std::uint64_t size_bytes,
                  std::optional<tools::Appliance::VolumePoint> origin, Content content);
  cdp::Task<cdp::Result<Content>> read_export(std::string name);
  cdp::Task<cdp::Result<std::uint64_t>> counter_in(std::string name);
  cdp::Task<void> check_pair(std::string suffix);
  std::string by_id(cdp::VolumeId id) const;
  bool has_volumes() const;  // beside the pair
  Tracked& any_volume();
  bool is_pair(const Tracked& volume) const { return volume.name.starts_with("pair-"); }
  void expect_errors();
  bool tell(const cdp::Status& status, const std::string& what);
  void note(std::string what);
  void find(const std::string& what);
  bool over() const { return !findings_.empty(); }

  const std::uint64_t seed_;
  const LifeOptions options_;
  Random random_;
  SimScheduler scheduler_;
  SimClock clock_;
  Trace trace_;
  std::shared_ptr<SimStore> store_;
  std::unique_ptr<ApplianceWorld> world_;
  std::map<cdp::VolumeId, Tracked> volumes_;
  std::map<std::string, TrackedClone> clones_;
  std::vector<Point> points_;
  std::map<std::string, Content> being_made_;  // whether they are there, the next start knows
  std::optional<cdp::VolumeId> being_removed_;
  bool is_sweeping_ = false;
  std::uint64_t script_ios_ = 0;
  std::set<std::string, std::less<>> first_made_;
  std::set<std::string> old_segments_;  // that this start found
  std::uint64_t names_ = 0;
  std::uint64_t acts_ = 0;  // that replace what volumes hold
  bool rotten_ = false;           // some of history cannot be read any more
  bool errors_expected_ = false;  // faults anywhere, or a crash
  LifeCounts counts_;
  std::vector<std::string> story_;
  std::vector<std::string> findings_;
};

}  // namespace sim
