// SPDX-License-Identifier: Apache-2.0
#include "tools/check/sandbox.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <string>
#include <system_error>
#include <vector>

#include "cdp/io/file_disk.h"

namespace check {

namespace {

constexpr rlim_t kFilesMax = 256;
constexpr rlim_t kAddressSpaceMax = rlim_t{8} << 30;
constexpr char kWorkDirectory[] = "/tmp";

#if defined(__x86_64__)
constexpr unsigned kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr unsigned kArchitecture = AUDIT_ARCH_AARCH64;
#else
#error "the filter of system calls wants the name of this architecture"
#endif
constexpr unsigned kOtherAbi = 0x40000000;  // of x32: other numbers for the same calls
constexpr unsigned kNamespaces = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET |
                                 CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
constexpr long kForbidden[] = {SYS_unshare,
                               SYS_setns,
                               SYS_mount,
                               SYS_umount2,
                               SYS_pivot_root,
                               SYS_move_mount,
                               SYS_open_tree,
                               SYS_fsopen,
                               SYS_fsconfig,
                               SYS_fsmount,
                               SYS_fspick,
                               SYS_mount_setattr,
                               SYS_ptrace,
                               SYS_bpf,
                               SYS_userfaultfd,
                               SYS_perf_event_open,
                               SYS_process_vm_readv,
                               SYS_process_vm_writev,
                               SYS_keyctl,
                               SYS_add_key,
                               SYS_request_key,
                               SYS_io_uring_setup,
                               SYS_socket};

[[noreturn]] void fail(const char* doing) {
  throw std::system_error(errno, std::generic_category(), doing);
}

void write_file(const char* path, const std::string& text) {
  const cdp::FileDescriptor file{open(path, O_WRONLY | O_CLOEXEC)};
  if (!file.valid() || write(file.get(), text.data(), text.size()) < 0) fail(path);
}

void limit(__rlimit_resource_t what, rlim_t most) {
  rlimit now{};
  if (getrlimit(what, &now) != 0) fail("getrlimit");
  if (now.rlim_max != RLIM_INFINITY && now.rlim_max < most) most = now.rlim_max;
  const rlimit wanted{most, most};
  if (setrlimit(what, &wanted) != 0) fail("setrlimit");
}

void enter_namespaces() {
  const std::string user = fmt::format("0 {} 1", geteuid());
  const std::string group = fmt::format("0 {} 1", getegid());
  if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID) != 0)
    fail("entering a user, a mount and a process namespace");
  write_file("/proc/self/setgroups", "deny");
  write_file("/proc/self/uid_map", user);
  write_file("/proc/self/gid_map", group);
  if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    fail("keeping mounts private");
  if (mount("none", kWorkDirectory, "tmpfs", MS_NOSUID | MS_NODEV, "size=16m,mode=0700") != 0)
    fail("mounting a directory to work in");
}

// Of calls that a process without rights may make to get some. What is not refused here, the unit's
// filter (hindsight-check@.service) has yet to allow.
void forbid_calls() {
  const auto word_at = [](std::size_t offset) {
    return sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<unsigned>(offset));
  };
  // Goes on behind `skipped` others where it is so.
  const auto skip_if = [](unsigned test, unsigned value, unsigned char skipped) {
    return sock_filter BPF_JUMP(static_cast<unsigned short>(BPF_JMP | test | BPF_K), value, skipped,
                                0);
  };
  const auto unless = [](unsigned test, unsigned value, unsigned char skipped) {
    return sock_filter BPF_JUMP(static_cast<unsigned short>(BPF_JMP | test | BPF_K), value, 0,
                                skipped);
  };
  const auto answer = [](unsigned what) { return sock_filter BPF_STMT(BPF_RET | BPF_K, what); };
  const unsigned refused = SECCOMP_RET_ERRNO | EPERM;
  std::vector<sock_filter> filter{
      word_at(offsetof(seccomp_data, arch)), skip_if(BPF_JEQ, kArchitecture, 1),
      answer(SECCOMP_RET_KILL_PROCESS),      word_at(offsetof(seccomp_data, nr)),
      unless(BPF_JGE, kOtherAbi, 1),         answer(refused)};
  for (const long call : kForbidden) {
    filter.push_back(unless(BPF_JEQ, static_cast<unsigned>(call), 1));
    filter.push_back(answer(refused));
  }
  // Its flags lie where no filter sees them: who is told that there is no such call, takes clone.
  filter.push_back(unless(BPF_JEQ, SYS_clone3, 1));
  filter.push_back(answer(SECCOMP_RET_ERRNO | ENOSYS));
  filter.push_back(unless(BPF_JEQ, SYS_clone, 3));
  filter.push_back(word_at(offsetof(seccomp_data, args)));
  filter.push_back(unless(BPF_JSET, kNamespaces, 1));
  filter.push_back(answer(refused));
  filter.push_back(answer(SECCOMP_RET_ALLOW));
  const sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) != 0) _exit(EXIT_FAILURE);
}

void take_privileges() {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) fail("PR_SET_NO_NEW_PRIVS");
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_NOFILE, kFilesMax);
  limit(RLIMIT_AS, kAddressSpaceMax);
}

}  // namespace

int run_in_sandbox(int socket, const std::function<int()>& work) {
  take_privileges();
  enter_namespaces();
  const pid_t first = fork();
  if (first < 0) fail("fork");
  if (first == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    _exit(work());
  }
  const cdp::FileDescriptor ended{static_cast<int>(syscall(SYS_pidfd_open, first, 0))};
  pollfd wanted[] = {{ended.get(), POLLIN, 0}, {socket, POLLRDHUP, 0}};
  while (wanted[0].revents == 0 && wanted[1].revents == 0) {
    if (poll(wanted, 2, -1) < 0 && errno != EINTR) break;
  }
  // It is the first of its namespace: all others go with it.
  if (wanted[0].revents == 0) kill(first, SIGKILL);
  int status = 0;
  while (waitpid(first, &status, 0) < 0 && errno == EINTR) continue;
  return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
}

void drop_everything() {
  forbid_calls();
  for (int capability = 0; capability <= CAP_LAST_CAP; ++capability)
    prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const __user_cap_data_struct none[2] = {};
  if (syscall(SYS_capset, &header, none) != 0) _exit(EXIT_FAILURE);
}

}  // namespace check
