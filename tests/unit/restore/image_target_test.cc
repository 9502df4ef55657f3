// SPDX-License-Identifier: Apache-2.0
#include "restore/image_target.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "restore/target_file.h"

namespace restore {
namespace {

namespace fs = std::filesystem;

class TargetTest : public testing::Test {
 protected:
  TargetTest() {
    std::string name = (fs::temp_directory_path() / "hindsight_target_XXXXXX").string();
    directory_ = ::mkdtemp(name.data());
  }
  ~TargetTest() override { fs::remove_all(directory_); }

  std::string path(const std::string& name) const { return (directory_ / name).string(); }
  std::size_t files() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator{directory_}, fs::directory_iterator{}));
  }
  static std::string content(const std::string& file) {
    std::ifstream in{file, std::ios::binary};
    return {std::istreambuf_iterator<char>{in}, {}};
  }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream{path(name)} << text;
  }

  fs::path directory_;
};

std::vector<std::byte> bytes(std::size_t count, unsigned char value) {
  return std::vector<std::byte>(count, std::byte{value});
}

TEST_F(TargetTest, AFileIsSparseWholeAndReadableByItsOwnerAlone) {
  auto target = cdp::value_or_throw(open_target(path("image"), {}));
  ASSERT_TRUE(target->start({1 << 20, 8192}).ok());
  ASSERT_TRUE(target->data(500'000, bytes(8192, 'x')).ok());
  ASSERT_TRUE(target->zero(0, 500'000).ok());
  ASSERT_FALSE(fs::exists(path("image")));
  ASSERT_TRUE(target->finish().ok());
  target.reset();
  EXPECT_EQ(files(), 1u);
  std::string expected(1 << 20, '\0');
  expected.replace(500'000, 8192, std::string(8192, 'x'));
  EXPECT_TRUE(content(path("image")) == expected);
  struct stat status {};
  ASSERT_EQ(::stat(path("image").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777u, 0600u);
  EXPECT_LT(status.st_blocks * 512, 100'000);
}

TEST_F(TargetTest, AFileThatIsNotFinishedLeavesNothing) {
  {
    auto target = cdp::value_or_throw(open_target(path("image"), {}));
    ASSERT_TRUE(target->start({1 << 20, {}}).ok());
    ASSERT_TRUE(target->data(0, bytes(4096, 'x')).ok());
    EXPECT_EQ(target->left_behind(), "");
    EXPECT_EQ(files(), 1u);
  }
  EXPECT_EQ(files(), 0u);
}

TEST_F(TargetTest, AnExistingFileIsRefusedAndReplacedByForceOnlyWhenWhole) {
  write("image", "old");
  const auto refused = open_target(path("image"), {});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, EEXIST);
  EXPECT_NE(refused.error().message.find("--force"), std::string::npos);
  EXPECT_EQ(files(), 1u);
  {
    auto target = cdp::value_or_throw(open_target(path("image"), {ImageFormat::kRaw, true}));
    ASSERT_TRUE(target->start({4096, {}}).ok());
    ASSERT_TRUE(target->data(0, bytes(4096, 'n')).ok());
  }
  EXPECT_EQ(content(path("image")), "old");
  auto target = cdp::value_or_throw(open_target(path("image"), {ImageFormat::kRaw, true}));
  ASSERT_TRUE(target->start({4096, {}}).ok());
  ASSERT_TRUE(target->data(0, bytes(4096, 'n')).ok());
  ASSERT_TRUE(target->finish().ok());
  EXPECT_EQ(content(path("image")), std::string(4096, 'n'));
}

TEST_F(TargetTest, AFileThatAppearsMeanwhileIsNotReplaced) {
  auto target = cdp::value_or_throw(open_target(path("image"), {}));
  ASSERT_TRUE(target->start({4096, {}}).ok());
  write("image", "somebody else's");
  EXPECT_FALSE(target->finish().ok());
  target.reset();
  EXPECT_EQ(content(path("image")), "somebody else's");
  EXPECT_EQ(files(), 1u);
}

TEST_F(TargetTest, ASymbolicLinkMeansItsTarget) {
  write("real", "old");
  fs::create_symlink("real", path("link"));
  EXPECT_FALSE(open_target(path("link"), {}).ok());
  auto target = cdp::value_or_throw(open_target(path("link"), {ImageFormat::kRaw, true}));
  ASSERT_TRUE(target->start({4, {}}).ok());
  ASSERT_TRUE(target->data(0, bytes(4, 'n')).ok());
  ASSERT_TRUE(target->finish().ok());
  EXPECT_TRUE(fs::is_symlink(path("link")));
  EXPECT_EQ(content(path("real")), "nnnn");
}

TEST_F(TargetTest, ImpossibleTargetsAreRefusedInASentence) {
  fs::create_directory(path("directory"));
  EXPECT_EQ(open_target(path("directory"), {ImageFormat::kRaw, true}).error().code, EISDIR);
  EXPECT_FALSE(open_target("", {}).ok());
  EXPECT_FALSE(open_target(path("missing/image"), {}).ok());
  EXPECT_FALSE(open_target("-", {ImageFormat::kQcow2, false}).ok());
  ASSERT_EQ(::mkfifo(path("fifo").c_str(), 0600), 0);
  EXPECT_FALSE(open_target(path("fifo"), {}).ok());
}

TEST_F(TargetTest, PathsThatLeadNowhereAreRefusedInASentence) {
  fs::create_symlink("loop", path("loop"));
  EXPECT_EQ(open_target(path("loop"), {}).error().code, ELOOP);
  write("file", "");
  EXPECT_EQ(open_file_target(path("file") + "/image", false).error().code, ENOTDIR);
}

TEST_F(TargetTest, ANameWithoutADirectoryIsInTheWorkingDirectory) {
  const fs::path before = fs::current_path();
  fs::current_path(directory_);
  auto target = cdp::value_or_throw(open_target("image", {}));
  EXPECT_TRUE(target->start({4, {}}).ok());
  EXPECT_TRUE(target->data(0, bytes(4, 'n')).ok());
  EXPECT_TRUE(target->finish().ok());
  fs::current_path(before);
  EXPECT_EQ(content(path("image")), "nnnn");
}

TEST(WriteAt, AFailureNamesTheFileThePlaceAndTheLength) {
  const cdp::FileDescriptor full{::open("/dev/full", O_WRONLY | O_CLOEXEC)};
  ASSERT_TRUE(full.valid());
  const cdp::Status failed = write_at(full.get(), "/dev/full", 500, bytes(10, 'x'));
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().code, ENOSPC);
  EXPECT_EQ(failed.error().message.find("writing 10 bytes at 500 of /dev/full"), 0u)
      << failed.error().message;
}

TEST_F(TargetTest, AFileSystemWithoutRoomIsRefusedBeforeAnythingIsWritten) {
  auto target = cdp::value_or_throw(open_target(path("image"), {}));
  const cdp::Status refused = target->start({1ull << 50, 1ull << 50});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ENOSPC);
  EXPECT_NE(refused.error().message.find("needs 1P"), std::string::npos);
}

TEST_F(TargetTest, APipeGetsTheWholeImageInOrderZeroesIncluded) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  std::string received;
  std::thread reader{[&] {
    char buffer[4096];
    for (ssize_t n; (n = ::read(ends[0], buffer, sizeof buffer)) > 0;) {
      received.append(buffer, static_cast<std::size_t>(n));
    }
  }};
  auto target = make_pipe_target(ends[1]);
  EXPECT_TRUE(target->wants_offset_order());
  EXPECT_TRUE(target->start({300'010, {}}).ok());
  EXPECT_TRUE(target->zero(0, 200'000).ok());
  EXPECT_TRUE(target->data(200'000, bytes(100'000, 'x')).ok());
  EXPECT_TRUE(target->zero(300'000, 10).ok());
  EXPECT_TRUE(target->finish().ok());
  ::close(ends[1]);
  reader.join();
  ::close(ends[0]);
  EXPECT_TRUE(received ==
              std::string(200'000, '\0') + std::string(100'000, 'x') + std::string(10, '\0'));
}

TEST_F(TargetTest, ABrokenPipeIsAnErrorThatSaysHowMuchWentOut) {
  ::signal(SIGPIPE, SIG_IGN);
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  ::close(ends[0]);
  auto target = make_pipe_target(ends[1]);
  ASSERT_TRUE(target->start({4096, {}}).ok());
  const cdp::Status failed = target->data(0, bytes(4096, 'x'));
  ::close(ends[1]);
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().code, EPIPE);
  EXPECT_EQ(target->left_behind(), "0 of 4096 bytes of the image had gone out");
}

TEST_F(TargetTest, Qcow2HoldsTheImageAndNothingElseIsLeft) {
  if (std::system("qemu-img --version >/dev/null 2>&1") != 0) GTEST_SKIP() << "no qemu-img";
  auto target = cdp::value_or_throw(open_target(path("image"), {ImageFormat::kQcow2, false}));
  ASSERT_TRUE(target->start({1 << 20, {}}).ok());
  ASSERT_TRUE(target->data(65'536, bytes(4096, 'x')).ok());
  const cdp::Status finished = target->finish();
  ASSERT_TRUE(finished.ok()) << finished.error().message;
  target.reset();
  EXPECT_EQ(files(), 1u);
  EXPECT_EQ(content(path("image")).substr(0, 3), "QFI");
  const std::string command =
      fmt::format("qemu-img convert -f qcow2 -O raw {} {}", path("image"), path("raw"));
  ASSERT_EQ(std::system(command.c_str()), 0);
  std::string expected(1 << 20, '\0');
  expected.replace(65'536, 4096, std::string(4096, 'x'));
  EXPECT_TRUE(content(path("raw")) == expected);
}

TEST_F(TargetTest, Qcow2WithoutQemuImgNamesThePackage) {
  const char* variable = std::getenv("PATH");
  const std::string before = variable != nullptr ? variable : "";
  ::setenv("PATH", "/nonexistent", 1);
  const auto refused = open_target(path("image"), {ImageFormat::kQcow2, false});
  ::setenv("PATH", before.c_str(), 1);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find("qemu-utils"), std::string::npos);
  EXPECT_EQ(files(), 0u);
}

// In place of qemu-img: what it does is a script's words.
class FailingConversionTest : public TargetTest {
 protected:
  FailingConversionTest() {
    const char* variable = std::getenv("PATH");
    before_ = variable != nullptr ? variable : "";
    fs::create_directory(path("bin"));
    ::setenv("PATH", (path("bin") + ":" + before_).c_str(), 1);
  }
  ~FailingConversionTest() override { ::setenv("PATH", before_.c_str(), 1); }

  void qemu_img_does(const std::string& words, const std::string& shell = "/bin/sh") const {
    write("bin/qemu-img", "#!" + shell + "\n" + words + "\n");
    fs::permissions(path("bin/qemu-img"), fs::perms::owner_all);
  }
  // How a conversion ends; nothing is left but the script, whatever it was.
  cdp::Status convert() {
    auto target = cdp::value_or_throw(open_target(path("image"), {ImageFormat::kQcow2, false}));
    EXPECT_TRUE(target->start({1 << 20, 4096}).ok());
    EXPECT_TRUE(target->data(0, bytes(4096, 'x')).ok());
    EXPECT_TRUE(target->zero(4096, 4096).ok());
    cdp::Status finished = target->finish();
    target.reset();
    EXPECT_EQ(files(), 1u);
    return finished;
  }

 private:
  std::string before_;
};

TEST_F(FailingConversionTest, WhatQemuImgSaysIsTheErrorAndNothingIsLeft) {
  qemu_img_does("echo 'qemu-img: no space left'; exit 1");
  const cdp::Status failed = convert();
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().message, "qemu-img failed: qemu-img: no space left");
}

TEST_F(FailingConversionTest, OneThatSaysNothingOrIsKilledFailsToo) {
  for (const char* words : {"exit 3", "kill -KILL $$"}) {
    qemu_img_does(words);
    const cdp::Status failed = convert();
    ASSERT_FALSE(failed.ok()) << words;
    EXPECT_EQ(failed.error().message, "qemu-img failed: it said nothing") << words;
  }
}

TEST_F(FailingConversionTest, OfALongStoryTheBeginningIsKept) {
  qemu_img_does("yes 0123456 | head -c 1000000; exit 1");
  const cdp::Status failed = convert();
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().message.find("qemu-img failed: 0123456\n0123456\n"), 0u);
  EXPECT_LT(failed.error().message.size(), 10'000u);
}

TEST_F(FailingConversionTest, OneThatDoesNotStartIsNamed) {
  qemu_img_does("exit 0", "/nonexistent/shell");
  ::setenv("PATH", path("bin").c_str(), 1);
  const cdp::Status failed = convert();
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().code, ENOENT);
  EXPECT_NE(failed.error().message.find("starting qemu-img"), std::string::npos);
}

TEST_F(FailingConversionTest, WhatCannotBeMadeIsRefusedAtTheStart) {
  qemu_img_does("exit 0");
  write("image", "old");
  const auto refused = open_target(path("image"), {ImageFormat::kQcow2, false});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, EEXIST);
  auto target = cdp::value_or_throw(open_target(path("other"), {ImageFormat::kQcow2, false}));
  EXPECT_EQ(target->start({1ull << 50, 1ull << 50}).error().code, ENOSPC);
  EXPECT_EQ(target->start({INT64_MAX, {}}).error().code, EFBIG);
}

// A loop device over a file, where this machine lets us have one.
class DeviceTest : public TargetTest {
 protected:
  void SetUp() override {
    write("disk", "");
    fs::resize_file(path("disk"), 4 << 20);
    if (::geteuid() != 0) GTEST_SKIP() << "loop devices need root";
    const std::string command =
        fmt::format("losetup -f --show {} >{} 2>/dev/null", path("disk"), path("loop"));
    if (std::system(command.c_str()) != 0) GTEST_SKIP() << "no loop device to be had";
    device_ = content(path("loop"));
    device_.erase(device_.find_last_not_of('\n') + 1);
  }
  void TearDown() override {
    if (!device_.empty()) {
      EXPECT_EQ(std::system(fmt::format("losetup -d {}", device_).c_str()), 0);
    }
  }
  std::string device_;
};

TEST_F(DeviceTest, ADeviceIsWrittenInPlaceAndItsZeroesAreReal) {
  auto target = cdp::value_or_throw(open_target(device_, {}));
  ASSERT_TRUE(target->start({3'600'000, {}}).ok());
  ASSERT_TRUE(target->data(0, bytes(3'600'000, 'o')).ok());
  ASSERT_TRUE(target->finish().ok());
  target.reset();

  const auto refused = open_target(device_, {});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, EEXIST);
  target = cdp::value_or_throw(open_target(device_, {ImageFormat::kRaw, true}));
  ASSERT_TRUE(target->start({3'600'000, {}}).ok());
  EXPECT_EQ(target->left_behind(), "");
  ASSERT_TRUE(target->zero(1, 200'000).ok());
  ASSERT_TRUE(target->data(300'000, bytes(100, 'n')).ok());
  ASSERT_TRUE(target->zero(1'000'001, 2'500'000).ok());  // long enough for a command
  EXPECT_NE(target->left_behind().find("bytes from 1 to 3500001"), std::string::npos);
  ASSERT_TRUE(target->finish().ok());
  target.reset();
  std::string expected(4 << 20, '\0');
  expected.replace(0, 3'600'000, std::string(3'600'000, 'o'));
  expected.replace(1, 200'000, std::string(200'000, '\0'));
  expected.replace(300'000, 100, std::string(100, 'n'));
  expected.replace(1'000'001, 2'500'000, std::string(2'500'000, '\0'));
  EXPECT_TRUE(content(device_) == expected);
}

TEST_F(DeviceTest, ADeviceThatIsTooSmallIsRefusedUntouched) {
  auto target = cdp::value_or_throw(open_target(device_, {}));
  const cdp::Status refused = target->start({(4 << 20) + 1, {}});
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find("too small"), std::string::npos);
  EXPECT_EQ(target->left_behind(), "");
}

TEST_F(DeviceTest, AMountedDeviceIsRefusedEvenByForce) {
  fs::create_directory(path("mount"));
  const std::string commands =
      fmt::format("mkfs.ext4 -q -F {0} && mount {0} {1}", device_, path("mount"));
  if (std::system(commands.c_str()) != 0) GTEST_SKIP() << "cannot mount here";
  const auto refused = open_target(device_, {ImageFormat::kRaw, true});
  ASSERT_EQ(std::system(fmt::format("umount {}", path("mount")).c_str()), 0);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, EBUSY);
  EXPECT_NE(refused.error().message.find(path("mount")), std::string::npos);
}

TEST(FormatBytes, UsesPowersOf1024) {
  EXPECT_EQ(format_bytes(0), "0");
  EXPECT_EQ(format_bytes(1023), "1023");
  EXPECT_EQ(format_bytes(1024), "1K");
  EXPECT_EQ(format_bytes(1536), "1.5K");
  EXPECT_EQ(format_bytes(1ull << 30), "1G");
  EXPECT_EQ(format_bytes((1ull << 30) + 1), "1.0G");
  EXPECT_EQ(format_bytes(UINT64_MAX), "16E");
}

}  // namespace
}  // namespace restore
