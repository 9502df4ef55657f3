// SPDX-License-Identifier: Apache-2.0
#include "tools/manual/help_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

namespace tools::manual {
namespace {

using Kind = TextBlock::Kind;

constexpr std::string_view kBetweenTermAndExplanation = "  ";

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(text.size(), end + 1));
  }
  return lines;
}

std::size_t indentation_of(std::string_view line) {
  return std::min(line.find_first_not_of(' '), line.size());
}

// How many characters "Example: " has, where the line begins with it; otherwise 0.
std::size_t example_word_size(std::string_view line) {
  for (const std::string_view word : {"Example: ", "Examples: "}) {
    if (line.starts_with(word)) return word.size();
  }
  return 0;
}

// One indented block is all of one kind.
Kind kind_of_indented(const std::vector<std::string>& lines) {
  const bool has_terms = std::any_of(lines.begin(), lines.end(), [](const std::string& line) {
    return line.find(kBetweenTermAndExplanation, indentation_of(line)) != line.npos;
  });
  return has_terms ? Kind::kTerms : Kind::kExample;
}

// The explanation is behind the last gap: a line may name two terms that have one.
void show_term(std::string_view line, RoffPage& page) {
  const std::size_t gap = line.rfind(kBetweenTermAndExplanation);
  if (gap == line.npos) return page.term(bold(line), {});
  const std::string_view term = line.substr(0, line.find_last_not_of(' ', gap) + 1);
  page.term(bold(term), {prose(line.substr(gap + kBetweenTermAndExplanation.size()))});
}

}  // namespace

std::vector<TextBlock> blocks_of(std::string_view text) {
  std::vector<TextBlock> blocks;
  const std::vector<std::string_view> lines = lines_of(text);
  for (std::size_t i = 0; i < lines.size();) {
    if (lines[i].empty()) {
      ++i;
      continue;
    }
    const std::size_t word_size = example_word_size(lines[i]);
    const std::size_t indentation = word_size > 0 ? word_size : indentation_of(lines[i]);
    TextBlock block{Kind::kProse, {std::string(lines[i++].substr(indentation))}};
    while (i < lines.size() && !lines[i].empty() && example_word_size(lines[i]) == 0 &&
           (indentation_of(lines[i]) > 0) == (indentation > 0)) {
      block.lines.emplace_back(lines[i].substr(std::min(indentation, indentation_of(lines[i]))));
      ++i;
    }
    if (word_size > 0) {
      block.kind = Kind::kExample;
    } else if (indentation > 0) {
      block.kind = kind_of_indented(block.lines);
    }
    blocks.push_back(std::move(block));
  }
  return blocks;
}

void show(const TextBlock& block, RoffPage& page) {
  switch (block.kind) {
    case Kind::kProse:
      return page.paragraph(prose(fmt::format("{}", fmt::join(block.lines, " "))));
    case Kind::kExample:
      return page.example(block.lines);
    case Kind::kTerms:
      for (const std::string& line : block.lines) show_term(line, page);
  }
}

void show_all(std::string_view text, RoffPage& page) {
  for (const TextBlock& block : blocks_of(text)) show(block, page);
}

}  // namespace tools::manual
